#include "specs/document.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace safe::specs {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool skip_sign(std::string_view& text) {
    const bool has_sign = !text.empty() && (text.front() == '-' || text.front() == '+');
    if (has_sign) text.remove_prefix(1);
    return has_sign;
}

std::size_t skip_digits(std::string_view& text) {
    const auto* const end = std::ranges::find_if_not(text, is_digit);
    const auto count = static_cast<std::size_t>(end - text.begin());
    text.remove_prefix(count);
    return count;
}

bool is_integer(std::string_view text) {
    const auto of_base = [](std::string_view digits, std::string_view allowed) {
        return !digits.empty() && digits.find_first_not_of(allowed) == std::string_view::npos;
    };
    if (text.starts_with("0o")) return of_base(text.substr(2), "01234567");
    if (text.starts_with("0x")) return of_base(text.substr(2), "0123456789abcdefABCDEF");
    skip_sign(text);
    return skip_digits(text) > 0 && text.empty();
}

bool is_number(std::string_view text) {
    constexpr std::array<std::string_view, 3> not_numbers{".nan", ".NaN", ".NAN"};
    constexpr std::array<std::string_view, 3> infinities{".inf", ".Inf", ".INF"};
    if (std::ranges::find(not_numbers, text) != not_numbers.end()) return true;
    skip_sign(text);
    if (std::ranges::find(infinities, text) != infinities.end()) return true;
    std::size_t digits = skip_digits(text);
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        digits += skip_digits(text);
    }
    if (digits == 0) return false;
    if (text.starts_with('e') || text.starts_with('E')) {
        text.remove_prefix(1);
        skip_sign(text);
        if (skip_digits(text) == 0) return false;
    }
    return text.empty();
}

bool is_boolean(std::string_view text) {
    constexpr std::array<std::string_view, 6> words{"true", "True", "TRUE", "false", "False", "FALSE"};
    return std::ranges::find(words, text) != words.end();
}

}  // namespace

Node make_node(Node::Kind kind, Position at, std::string text, bool quoted) {
    Node node;
    node.kind = kind;
    node.at = std::move(at);
    node.text = std::move(text);
    node.quoted = quoted;
    return node;
}

CoreType core_type(const Node& node) {
    if (node.kind == Node::Kind::nothing) return CoreType::nothing;
    if (node.quoted) return CoreType::text;
    if (is_boolean(node.text)) return CoreType::boolean;
    if (is_integer(node.text)) return CoreType::integer;
    if (is_number(node.text)) return CoreType::number;
    return CoreType::text;
}

std::string_view describe(const Node& node) {
    switch (node.kind) {
        case Node::Kind::nothing:
            return "nothing";
        case Node::Kind::list:
            return "a list";
        case Node::Kind::map:
            return "a mapping";
        case Node::Kind::scalar:
            break;
    }
    switch (core_type(node)) {
        case CoreType::boolean:
            return "a boolean";
        case CoreType::integer:
        case CoreType::number:
            return "a number";
        case CoreType::nothing:
        case CoreType::text:
            return "text";
    }
    std::unreachable();
}

std::string shown(std::string_view text, std::size_t longest) {
    std::string line;
    std::size_t characters = 0;
    for (const char c : text) {
        const bool starts_character = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        if (starts_character && characters++ == longest) return line + "…";
        switch (c) {
            case '\n':
                line += "\\n";
                break;
            case '\r':
                line += "\\r";
                break;
            case '\t':
                line += "\\t";
                break;
            default:
                line += c;
        }
    }
    return line;
}

}  // namespace safe::specs
