// Small words for the texts of procfs and sysfs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safe::verify {

/// The lines of a text, without their line breaks and without empty ones.
[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
/// What stands between blanks and tabs.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);
/// What stands between `separator`s, empty parts too.
[[nodiscard]] std::vector<std::string_view> parts_of(std::string_view text, char separator);
/// "\040" is a blank: how mountinfo and exports write characters that would end a word.
[[nodiscard]] std::string without_escapes(std::string_view text);
/// A whole number without sign; nullopt for any other text.
[[nodiscard]] std::optional<std::uint64_t> number_of(std::string_view text);
/// A to Z become a to z.
[[nodiscard]] std::string lower(std::string text);
/// `path` is `folder` or lies below it; both absolute and normal.
[[nodiscard]] bool is_below(std::string_view path, std::string_view folder);

}  // namespace safe::verify
