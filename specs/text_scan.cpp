#include "specs/text_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "reconciler/base/characters.hpp"

namespace safe::specs {
namespace {

/// A carriage return that is not part of a line end moves the cursor back, and what follows hides what was before.
bool is_lone_return(std::string_view text, std::size_t offset) {
    return text[offset] == '\r' && (offset + 1 == text.size() || text[offset + 1] != '\n');
}

/// How many characters might begin a token of the parser's.
std::size_t count_marks(std::string_view text) {
    std::array<std::size_t, 256> seen{};
    for (const char c : text) ++seen[static_cast<unsigned char>(c)];
    std::size_t marks = 0;
    for (const char c : std::string_view("[]{},:\"'&*!?|>")) marks += seen[static_cast<unsigned char>(c)];
    return marks;
}

/// One error at most: a file that is full of these is no spec.
bool lines_are_fit(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
    std::uint32_t line = 1;
    std::size_t start = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == start && text[i] == '%') {
            diagnostics.error({file, line, 1}, "a YAML directive is not part of the language", "remove the line");
            return false;
        }
        if (i - start >= Bounds::line_bytes) {
            diagnostics.error({file, line, 1}, fmt::format("a line has more than {} bytes", Bounds::line_bytes),
                              "break it into several");
            return false;
        }
        if (text[i] == '\n') {
            start = i + 1;
            ++line;
        }
    }
    return true;
}

}  // namespace

CharacterFault find_bad_character(std::string_view text) {
    for (std::size_t offset = 0; offset < text.size();) {
        const auto byte = static_cast<unsigned char>(text[offset]);
        const bool is_plain = (byte >= 0x20 && byte < 0x7F) || byte == '\n' || byte == '\t';
        if (is_plain) {
            ++offset;
            continue;
        }
        const auto character = base::decode_character(text.substr(offset));
        if (!character) return {"invalid UTF-8", offset};
        if (is_lone_return(text, offset)) return {"a carriage return without a line feed", offset};
        if (const std::string_view fault = base::fault_of(character->code); !fault.empty())
            return {fmt::format("{} (U+{:04X})", fault, static_cast<std::uint32_t>(character->code)), offset};
        offset += character->bytes;
    }
    return {};
}

bool fit_for_parsing(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
    if (const CharacterFault fault = find_bad_character(text); !fault.what.empty()) {
        diagnostics.error(position_of(text, fault.offset, file), "the file contains " + fault.what,
                          "write plain UTF-8 text");
        return false;
    }
    // The parser keeps what it looked ahead at, up to a whole flow collection, at some hundred bytes a mark.
    if (count_marks(text) > Bounds::marks) {
        diagnostics.error({file, 1, 1},
                          fmt::format("the file has more than {} brackets, commas, quotes and the like", Bounds::marks),
                          "no spec needs that many");
        return false;
    }
    return lines_are_fit(text, file, diagnostics);
}

Position position_of(std::string_view text, std::size_t offset, const std::string& file) {
    const std::string_view before = text.substr(0, offset);
    const std::size_t line_break = before.rfind('\n');
    const std::string_view line = before.substr(line_break == std::string_view::npos ? 0 : line_break + 1);
    const auto starts_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
    return {file, static_cast<std::uint32_t>(std::ranges::count(before, '\n') + 1),
            static_cast<std::uint32_t>(std::ranges::count_if(line, starts_character) + 1)};
}

}  // namespace safe::specs
