#include "plugins/ldap/escaping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace safe::ldap {
namespace {

bool is_plain(unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '@'; }

/// A backslash and two hexadecimal digits for every byte that is not plain: more than either RFC demands, and allowed
/// by both, so that there is no special case to get wrong.
std::string escaped(std::string_view value) {
    std::string text;
    text.reserve(value.size());
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_plain(byte))
            text += c;
        else
            text += fmt::format("\\{:02x}", byte);
    }
    return text;
}

constexpr char in_lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = in_lower_case(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// `at` is just behind a backslash and is moved behind what it escapes.
std::optional<char> unescaped(std::string_view name, std::size_t& at) {
    if (at >= name.size()) return std::nullopt;
    if (at + 1 < name.size() && hex_digit(name[at]) >= 0 && hex_digit(name[at + 1]) >= 0) {
        const int byte = hex_digit(name[at]) * 16 + hex_digit(name[at + 1]);
        at += 2;
        return static_cast<char>(byte);
    }
    return name[at++];
}

std::string joined(std::string_view operation, const std::vector<std::string>& filters) {
    return fmt::format("({}{})", operation, fmt::join(filters, ""));
}

}  // namespace

std::string dn_value(std::string_view value) { return escaped(value); }

std::string child_of(std::string_view parent, std::string_view attribute, std::string_view value) {
    return fmt::format("{}={},{}", attribute, dn_value(value), parent);
}

std::string equals(std::string_view attribute, std::string_view value) {
    return fmt::format("({}={})", attribute, escaped(value));
}

std::string all_of(const std::vector<std::string>& filters) { return joined("&", filters); }
std::string any_of(const std::vector<std::string>& filters) { return joined("|", filters); }

std::optional<NamePart> first_part(std::string_view name) {
    const std::size_t equals_sign = name.find('=');
    if (equals_sign == std::string_view::npos || equals_sign == 0) return std::nullopt;
    NamePart part;
    for (const char c : name.substr(0, equals_sign)) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') return std::nullopt;
        part.type += in_lower_case(c);
    }
    for (std::size_t at = equals_sign + 1; at < name.size() && name[at] != ',';) {
        if (name[at] == '+') return std::nullopt;
        if (name[at] != '\\') {
            part.value += name[at++];
            continue;
        }
        const std::optional<char> c = unescaped(name, ++at);
        if (!c) return std::nullopt;
        part.value += *c;
    }
    if (part.value.empty()) return std::nullopt;
    return part;
}

bool same_name(std::string_view one, std::string_view other) {
    if (one.size() != other.size()) return false;
    return one == other || std::ranges::equal(one, other, {}, in_lower_case, in_lower_case);
}

}  // namespace safe::ldap
