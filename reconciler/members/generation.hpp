// Generation: counts the passwords that a member has had, from 1. A keyslot and a directory entry that belong together
// bear the same one.
#pragma once

#include <cstdint>

namespace safe::members {

using Generation = std::uint64_t;

/// Counts for no password: of a keyslot that is known to be a member's although its token is gone.
inline constexpr Generation no_generation = 0;

}  // namespace safe::members
