// A hint about a new password, for the person who has just typed it. It refuses nothing: what a password must bear is
// guessing at the price of one key derivation a guess, by whoever holds the vault's header. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace safe::members {

/// nullopt: nothing to say against it. The text never repeats the password or a part of it.
[[nodiscard]] std::optional<std::string> hint_about(std::string_view password, std::string_view user,
                                                    std::string_view safe);

}  // namespace safe::members
