// A document as a tree of plain nodes, each knowing where it is written: what the reader of YAML hands to the rest,
// which knows no YAML. Values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "specs/spec.hpp"

namespace safe::specs {

struct Entry;

struct Node {
    enum class Kind { nothing, scalar, list, map };
    Kind kind = Kind::nothing;
    Position at;
    std::string text;     // of a scalar
    bool quoted = false;  // a scalar in quotes or a block scalar: always text
    std::vector<Node> items;
    std::vector<Entry> entries;  // of a map, in the order of the file, no key twice
};

struct Entry {
    std::string key;
    Position at;  // of the key
    Node value;
};

/// A node without anything in it.
[[nodiscard]] Node make_node(Node::Kind kind, Position at, std::string text = {}, bool quoted = false);

/// What a scalar is by the core schema of YAML 1.2.2 (section 10.3.2): `on` and `yes` are text, "1" is text, 1 is not.
enum class CoreType { nothing, boolean, integer, number, text };
[[nodiscard]] CoreType core_type(const Node& node);

/// "nothing", "a list", "a number", ...: what a node is, for messages.
[[nodiscard]] std::string_view describe(const Node& node);

/// A text from a file, fit for one line of a message: shortened to `longest` characters, line breaks and tabs escaped.
[[nodiscard]] std::string shown(std::string_view text, std::size_t longest = 60);

}  // namespace safe::specs
