// Generation: counts the passwords that a member has had, from 1. A keyslot and a directory entry that belong together
// bear the same one.
#pragma once

#include <cstdint>

namespace safe::members {

using Generation = std::uint64_t;

}  // namespace safe::members
