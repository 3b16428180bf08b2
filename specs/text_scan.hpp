// What is refused in a text before anything reads its structure: what cannot be read, what a reader cannot see, and
// what would cost the parser too much. Pure; linear in the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "specs/diagnostic.hpp"

namespace safe::specs {

/// The bounds of a spec; what is larger is refused, not cut.
struct Bounds {
    static constexpr std::size_t bytes = std::size_t{4} << 20;  // of all files together
    static constexpr std::size_t files = 1000;                  // that one spec is made of
    static constexpr std::size_t nodes = 200'000;               // keys, values, lists and maps, aliases expanded
    static constexpr std::size_t depth = 32;                    // of lists and maps in each other
    static constexpr std::size_t scalar_bytes = std::size_t{64} << 10;  // of one key or value
    static constexpr std::size_t line_bytes = std::size_t{128} << 10;   // of one line: the parser looks ahead within it
    static constexpr std::size_t marks = 500'000;     // of the characters that give YAML its structure
    static constexpr std::size_t diagnostics = 1000;  // reported at once
};

/// Why a text must not go further, at the first place: "" when it may. Invalid UTF-8 (RFC 3629), control characters
/// other than tab and line breaks, and characters that change how a line looks but not what it says (CVE-2021-42574).
struct CharacterFault {
    std::string what;  // "invalid UTF-8"; empty: none
    std::size_t offset = 0;
};
[[nodiscard]] CharacterFault find_bad_character(std::string_view text);

/// Everything that keeps `text` from the parser, as errors at its places in `file`. False when there is something.
[[nodiscard]] bool fit_for_parsing(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// Line and column (in characters, from 1) of an offset.
[[nodiscard]] Position position_of(std::string_view text, std::size_t offset, const std::string& file);

}  // namespace safe::specs
