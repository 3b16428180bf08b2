#include "specs/pattern.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace safe::specs {
namespace {

std::string any_digits(std::size_t count) {
    if (count == 0) return {};
    return count == 1 ? "[0-9]" : fmt::format("[0-9]{{{}}}", count);
}

std::string one_digit(char lowest, char highest) {
    return lowest == highest ? std::string(1, lowest) : fmt::format("[{}-{}]", lowest, highest);
}

std::string grouped(const std::vector<std::string>& alternatives) {
    if (alternatives.size() == 1) return alternatives.front();
    return fmt::format("(?:{})", fmt::join(alternatives, "|"));
}

/// Two numbers of the same number of digits: the digits they share, then from the first that differs three ranges.
std::string between(std::string_view lowest, std::string_view highest) {
    if (lowest.empty()) return {};
    const char low = lowest.front();
    const char high = highest.front();
    const std::string_view low_rest = lowest.substr(1);
    const std::string_view high_rest = highest.substr(1);
    if (low == high) return low + between(low_rest, high_rest);
    const bool low_is_round = std::ranges::all_of(low_rest, [](char c) { return c == '0'; });
    const bool high_is_full = std::ranges::all_of(high_rest, [](char c) { return c == '9'; });
    const auto first_whole = static_cast<char>(low_is_round ? low : low + 1);
    const auto last_whole = static_cast<char>(high_is_full ? high : high - 1);
    std::vector<std::string> parts;
    if (!low_is_round) parts.push_back(low + between(low_rest, std::string(low_rest.size(), '9')));
    if (first_whole <= last_whole) parts.push_back(one_digit(first_whole, last_whole) + any_digits(low_rest.size()));
    if (!high_is_full) parts.push_back(high + between(std::string(high_rest.size(), '0'), high_rest));
    return grouped(parts);
}

}  // namespace

std::string decimal_pattern(std::uint64_t lowest, std::uint64_t highest) {
    std::vector<std::string> parts;
    std::string from = std::to_string(lowest);
    const std::string to = std::to_string(highest);
    for (; from.size() < to.size(); from = '1' + std::string(from.size(), '0')) {
        parts.push_back(between(from, std::string(from.size(), '9')));
    }
    parts.push_back(between(from, to));
    return fmt::format("(?:{})", fmt::join(parts, "|"));
}

std::string anchored(std::string_view pattern) { return fmt::format("^(?:{})$", pattern); }

}  // namespace safe::specs
