#include "reconciler/members/strength.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <ranges>

namespace safe::members {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// Without a copy of the password outside the memory it is kept in.
bool contains(std::string_view password, std::string_view word) {
    if (word.size() < 3) return false;
    return !std::ranges::search(password, word, {}, lower, lower).empty();
}

bool is_run(char a, char b) { return a == b || lower(b) - lower(a) == 1 || lower(a) - lower(b) == 1; }

/// Bits that somebody must guess who knows how people choose: a run like "abcd" or "1111" counts as one character.
double bits(std::string_view password) {
    std::array<bool, 4> classes{};
    double size = 0;
    double length = 0;
    for (std::size_t i = 0; i < password.size(); ++i) {
        const auto c = static_cast<unsigned char>(password[i]);
        const std::size_t kind = std::islower(c) != 0 ? 0 : std::isupper(c) != 0 ? 1 : std::isdigit(c) != 0 ? 2 : 3;
        constexpr std::array sizes{26.0, 26.0, 10.0, 33.0};
        if (!classes.at(kind)) size += sizes.at(kind);
        classes.at(kind) = true;
        length += i > 0 && is_run(password[i - 1], password[i]) ? 0.25 : 1;
    }
    return size > 0 ? length * std::log2(size) : 0;
}

}  // namespace

std::optional<std::string> hint_about(std::string_view password, std::string_view user, std::string_view safe) {
    constexpr double enough = 60;
    constexpr std::array<std::string_view, 8> common{"password", "qwerty", "azerty", "letmein",
                                                     "welcome",  "secret", "dragon", "motdepasse"};
    if (contains(password, user) || contains(password, safe))
        return "it contains the name of its user or of the safe, which are tried first";
    if (std::ranges::any_of(common, [&](std::string_view word) { return contains(password, word); }))
        return "it contains one of the words that are tried first";
    if (bits(password) < enough) return "it is short: four or five words that do not belong together are better";
    return std::nullopt;
}

}  // namespace safe::members
