// From nodes to structs, driven by the table of fields: one Field says how a key of a struct is read, defaulted,
// described. What does not fit is reported and left out; what is left out is remembered as unsound, so that the
// validator does not judge it a second time. A Reader lives for one load.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "specs/diagnostic.hpp"
#include "specs/document.hpp"
#include "specs/scalar_types.hpp"
#include "specs/suggestion.hpp"

namespace safe::specs {

/// Paths ("vms.desktop.memory") of what was written but could not be read, or is missing though required.
class Unsound {
 public:
    void add(std::string path) { paths_.insert(std::move(path)); }
    /// Whether the path or something that it lies in is unsound.
    [[nodiscard]] bool covers(std::string_view path) const;
    /// Whether it is, or anything in it.
    [[nodiscard]] bool touches(std::string_view path) const;

 private:
    std::unordered_set<std::string> paths_;
};

/// What the JSON Schema and the reference say of a key; a tree.
struct FieldInfo {
    enum class Presence { required, optional, defaulted };
    enum class Shape {
        scalar,
        list,    // of scalars, at least one, none twice
        part,    // a mapping with keys of its own
        choice,  // a mapping with exactly one of its keys, each a scalar
        names,   // a mapping from names to such parts
        pairs,   // a mapping from scalars to scalars
    };

    std::string key;
    Presence presence = Presence::optional;
    std::string fallback;               // as written in a spec,
    bool is_fallback_in_words = false;  // or in words
    std::string meaning;
    std::string example;
    Shape shape = Shape::scalar;
    ScalarInfo name = {};                // what stands before the colon in names and pairs
    ScalarInfo scalar = {};              // of a scalar, of a list's items, of what stands after the colon in pairs
    std::vector<FieldInfo> inside = {};  // of a part, of a choice, of the parts in names
};

class Reader;

/// One key of the mapping that a struct S is read from.
template <class S>
struct Field {
    FieldInfo info;
    std::function<void(S& into, const Entry& entry, const std::string& path, Reader& reader)> read;
    std::function<void(S& into)> fall_back = nullptr;  // when the key is not there
};
template <class S>
using Fields = std::vector<Field<S>>;

class Reader {
 public:
    Reader(std::string directory, Unsound& unsound, Diagnostics& diagnostics)
        : directory_(std::move(directory)), unsound_(unsound), diagnostics_(diagnostics) {}

    void fail(const Position& at, const std::string& path, std::string message, std::string help = {});

    /// Whether `node` is of that kind; if not, a failure.
    [[nodiscard]] bool expect(const Node& node, Node::Kind kind, const std::string& path);

    template <class T>
    [[nodiscard]] std::optional<Located<T>> scalar(const Node& node, const Scalar<T>& type, const std::string& path) {
        if (!expect(node, Node::Kind::scalar, path)) return std::nullopt;
        Parsed<T> parsed = type.parse(node.text, directory_);
        if (!right_core_type(node, type.info, path, parsed.has_value())) return std::nullopt;
        if (!parsed) {
            fail_parse(node, path, parsed.error());
            return std::nullopt;
        }
        return Located<T>{*std::move(parsed), node.at};
    }

    /// What stands before a colon, where 7 is as much text as "7".
    template <class T>
    [[nodiscard]] std::optional<Located<T>> key(const Entry& entry, const Scalar<T>& type, const std::string& path) {
        return scalar(make_node(Node::Kind::scalar, entry.at, entry.key, true), type, path);
    }

    /// Every key of `map` through its field, then defaults and what is missing; `at` is where the struct begins.
    template <class S>
    void fields(S& into, const Node& map, const Position& at, const Fields<S>& fields, const std::string& path) {
        std::vector<bool> given(fields.size(), false);
        for (const Entry& entry : map.entries) {
            std::size_t i = 0;
            while (i < fields.size() && fields[i].info.key != entry.key) ++i;
            if (i == fields.size()) {
                std::vector<std::string_view> known;
                for (const Field<S>& field : fields) known.push_back(field.info.key);
                unknown_key(entry, path, known);
                continue;
            }
            given[i] = true;
            fields[i].read(into, entry, below(path, entry.key), *this);
        }
        for (std::size_t i = 0; i < fields.size(); ++i) {
            const Field<S>& field = fields[i];
            if (field.fall_back && (!given[i] || unsound_.covers(below(path, field.info.key)))) field.fall_back(into);
            if (!given[i] && field.info.presence == FieldInfo::Presence::required) missing(field.info, at, path);
        }
    }

    [[nodiscard]] static std::string below(const std::string& path, std::string_view key) {
        return path.empty() ? std::string(key) : path + "." + std::string(key);
    }

 private:
    [[nodiscard]] bool right_core_type(const Node& node, const ScalarInfo& type, const std::string& path, bool parses);
    void fail_parse(const Node& node, const std::string& path, const ParseError& error);
    void unknown_key(const Entry& entry, const std::string& path, const std::vector<std::string_view>& known);
    void missing(const FieldInfo& field, const Position& at, const std::string& path);

    std::string directory_;
    Unsound& unsound_;
    Diagnostics& diagnostics_;
    Suggester suggester_;
};

}  // namespace safe::specs
