// How a type of values is made: one function for each shape that a scalar can have. Only for specs/scalar_types*.cpp.
// Pure.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "specs/pattern.hpp"
#include "specs/scalar_types.hpp"
#include "specs/suggestion.hpp"

namespace safe::specs::types {

inline constexpr std::string_view label = "[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?";

/// "10.77.0.20".
[[nodiscard]] std::string octets();

/// Text that is what a pattern says, and nothing more to it.
[[nodiscard]] Scalar<std::string> patterned(ScalarInfo info);

/// A value of specs/values.hpp.
template <class T>
Scalar<T> valued(ScalarInfo info, Parsed<T> (*parse)(std::string_view)) {
    return {std::move(info), [parse](std::string_view text, const std::string&) { return parse(text); }};
}

/// A word is written as itself.
[[nodiscard]] inline std::string_view to_text(const std::string& word) { return word; }

/// One of a few words; each value is written as to_text says.
template <class T>
Scalar<T> one_of(std::string name, std::initializer_list<T> values) {
    ScalarInfo info{.name = std::move(name), .form = {}, .invalid = {"", "Auto", "none"}};
    for (const T& value : values) info.choices.emplace_back(to_text(value));
    info.valid = info.choices;
    info.form = info.choices.size() == 1 ? "the word " + info.choices.front()
                                         : fmt::format("one of {}", fmt::join(info.choices, ", "));
    const auto parse = [values = std::vector<T>(values), choices = info.choices, form = info.form](
                           std::string_view text, const std::string&) -> Parsed<T> {
        const auto found = std::ranges::find(choices, text);
        if (found != choices.end()) return values[static_cast<std::size_t>(found - choices.begin())];
        const std::string suggestion = Suggester{}.suggest(text, {choices.begin(), choices.end()});
        return std::unexpected(suggestion.empty() ? form : form + "; " + suggestion);
    };
    return {std::move(info), parse};
}

[[nodiscard]] Scalar<std::uint32_t> whole_number(std::string name, std::uint32_t lowest, std::uint32_t highest);

/// A span of time, from `lowest` to `highest` seconds.
[[nodiscard]] Scalar<Duration> time_between(std::string name, std::uint32_t lowest, std::uint32_t highest);

inline constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;
inline constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;
inline constexpr std::uint64_t tebibyte = std::uint64_t{1} << 40;

/// Whole MiB, from `lowest` to `highest` bytes.
[[nodiscard]] Scalar<ByteSize> size_between(std::string name, std::uint64_t lowest, std::uint64_t highest);

/// A path that a file of this machine can have: 1 to 1024 bytes without control characters.
[[nodiscard]] bool is_path_text(std::string_view text);
/// What is said of such a path; no pattern of more than its characters.
[[nodiscard]] ScalarInfo path_info(std::string name, std::string form);

}  // namespace safe::specs::types
