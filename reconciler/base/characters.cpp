#include "reconciler/base/characters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace safe::base {
namespace {

struct Range {
    char32_t first, last;
    std::string_view what;
};
constexpr std::array<Range, 15> faults{{
    {0x00, 0x00, "a NUL byte"},
    {0x01, 0x08, "a control character"},
    {0x0B, 0x0C, "a control character"},
    {0x0E, 0x1F, "a control character"},
    {0x7F, 0x9F, "a control character"},
    {0x061C, 0x061C, "a bidirectional control character"},
    {0x200B, 0x200B, "an invisible character"},
    {0x200E, 0x200F, "a bidirectional control character"},
    {0x2028, 0x2029, "an invisible line break"},
    {0x202A, 0x202E, "a bidirectional control character"},
    {0x2060, 0x2064, "an invisible character"},
    {0x2066, 0x2069, "a bidirectional control character"},
    {0xFEFF, 0xFEFF, "an invisible character"},
    {0xFFF9, 0xFFFF, "a character that stands for nothing"},
    {0xE0000, 0xE007F, "an invisible character"},
}};

std::string spelled_out(char32_t code) {
    const auto number = static_cast<std::uint32_t>(code);
    if (code < 0x80) return fmt::format("\\x{:02x}", number);
    return code <= 0xFFFF ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number);
}

}  // namespace

std::optional<Character> decode_character(std::string_view text) {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return Character{first, 1};
    const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return std::nullopt;
    char32_t code = first & (0xFFU >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return std::nullopt;
        code = code << 6 | (byte(i) & 0x3FU);
    }
    constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[bytes] || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF) return std::nullopt;
    return Character{code, bytes};
}

std::string_view fault_of(char32_t code) {
    const auto* const range =
        std::ranges::find_if(faults, [code](const Range& r) { return code >= r.first && code <= r.last; });
    return range == faults.end() ? std::string_view() : range->what;
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::optional<Character> character = decode_character(text);
        const std::size_t bytes = character ? character->bytes : 1;
        if (!character)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
        else if (character->code < 0x20 || !fault_of(character->code).empty())
            out += spelled_out(character->code);
        else
            out += text.substr(0, bytes);
        text.remove_prefix(bytes);
    }
    return out;
}

}  // namespace safe::base
