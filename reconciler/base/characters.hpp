// Characters of UTF-8 text, and which of them people must not be shown: what cannot be read, what a reader cannot see,
// what changes how a line looks but not what it says (CVE-2021-42574), and what a terminal obeys. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace safe::base {

struct Character {
    char32_t code = 0;
    std::size_t bytes = 0;
};

/// The character at the start of `text`, which is not empty; nullopt when it is not UTF-8 (RFC 3629: no overlong form,
/// no surrogate, nothing beyond U+10FFFF).
[[nodiscard]] std::optional<Character> decode_character(std::string_view text);

/// What a character is that has no place in a text for people: "a control character". Empty for any other, and for tab
/// and line breaks.
[[nodiscard]] std::string_view fault_of(char32_t code);

/// Text that came out of a file, a live system or a stranger's hands, for a place within a line of a terminal: such
/// characters, tab and line breaks are spelled out, and so is what is no UTF-8: "\x1b", "\u009b", "\U000e0041".
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace safe::base
