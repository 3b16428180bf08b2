#include "specs/reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace safe::specs {
namespace {

std::string_view wanted(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::nothing:
            return "nothing";
        case Node::Kind::scalar:
            return "a single value";
        case Node::Kind::list:
            return "a list";
        case Node::Kind::map:
            return "a mapping";
    }
    std::unreachable();
}

}  // namespace

bool Unsound::covers(std::string_view path) const {
    if (paths_.empty()) return false;
    for (std::size_t dot = path.size(); dot != std::string_view::npos; dot = path.rfind('.', dot - 1)) {
        if (paths_.contains(std::string(path.substr(0, dot)))) return true;
        if (dot == 0) break;
    }
    return false;
}

bool Unsound::touches(std::string_view path) const {
    const std::string below = std::string(path) + ".";
    return covers(path) || std::ranges::any_of(paths_, [&](const std::string& one) { return one.starts_with(below); });
}

void Reader::fail(const Position& at, const std::string& path, std::string message, std::string help) {
    unsound_.add(path);
    diagnostics_.error(at, path.empty() ? std::move(message) : shown(path) + ": " + message, std::move(help));
}

bool Reader::expect(const Node& node, Node::Kind kind, const std::string& path) {
    if (node.kind == kind) return true;
    if (node.kind == Node::Kind::nothing) {
        fail(node.at, path, fmt::format("nothing is written where {} is wanted", wanted(kind)));
    } else {
        fail(node.at, path, fmt::format("{} is wanted here, not {}", wanted(kind), describe(node)));
    }
    return false;
}

bool Reader::right_core_type(const Node& node, const ScalarInfo& type, const std::string& path, bool parses) {
    const CoreType core = core_type(node);
    const CoreType wanted_core = type.kind == ScalarInfo::Kind::integer   ? CoreType::integer
                                 : type.kind == ScalarInfo::Kind::boolean ? CoreType::boolean
                                                                          : CoreType::text;
    if (wanted_core != CoreType::text && core != wanted_core) {
        fail(node.at, path, fmt::format("{} is wanted here, not {}", type.form, describe(node)),
             parses ? "write it without quotes" : "");
        return false;
    }
    if (wanted_core == CoreType::text && core != CoreType::text && parses) {
        fail(node.at, path, fmt::format("text is wanted here, and {} is {}", shown(node.text), describe(node)),
             "put it in quotes");
        return false;
    }
    return true;
}

void Reader::fail_parse(const Node& node, const std::string& path, const ParseError& error) {
    const std::size_t end = error.find("; ");
    const std::string what = error.substr(0, end);
    const std::string help = end == std::string::npos ? std::string{} : error.substr(end + 2);
    fail(node.at, path, fmt::format("{} is not {}", node.text.empty() ? "\"\"" : shown(node.text), what), help);
}

void Reader::unknown_key(const Entry& entry, const std::string& path, const std::vector<std::string_view>& known) {
    std::string help = suggester_.suggest(entry.key, known);
    if (help.empty()) help = fmt::format("known here: {}", fmt::join(known, ", "));
    const std::string where = path.empty() ? "" : " in " + shown(path);
    diagnostics_.error(entry.at, fmt::format("unknown key {}{}", shown(entry.key), where), std::move(help));
}

void Reader::missing(const FieldInfo& field, const Position& at, const std::string& path) {
    const std::string where = path.empty() ? "the spec" : shown(path);
    unsound_.add(below(path, field.key));
    diagnostics_.error(at, fmt::format("{} has no {}", where, field.key),
                       fmt::format("write it, such as {}: {}", field.key, field.example));
}

}  // namespace safe::specs
