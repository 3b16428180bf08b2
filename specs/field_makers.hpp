// How an entry of the table is made: one function for each shape that a key can have, from what is said about the key,
// the member that it fills and the type of its value. Pure.
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "specs/reader.hpp"

namespace safe::specs {

/// How a key is introduced. An example is given where the type's own says too little.
struct Key {
    std::string key;
    std::string meaning;
    std::string example = {};

    [[nodiscard]] FieldInfo info(FieldInfo::Presence presence, FieldInfo::Shape shape, ScalarInfo scalar = {}) && {
        if (example.empty() && !scalar.valid.empty()) example = scalar.valid.front();
        return {.key = std::move(key),
                .presence = presence,
                .fallback = {},
                .meaning = std::move(meaning),
                .example = std::move(example),
                .shape = shape,
                .scalar = std::move(scalar)};
    }
};

/// The ways to say where a secret is to be had.
[[nodiscard]] std::vector<FieldInfo> secret_ways();
[[nodiscard]] std::optional<Located<SecretRef>> read_secret_reference(const Entry& entry, const std::string& path,
                                                                      Reader& reader);

/// A required value.
template <class S, class T>
Field<S> required(Key key, Located<T> S::* member, Scalar<T> type) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::required, FieldInfo::Shape::scalar, type.info);
    return {std::move(info),
            [member, type = std::move(type)](S& into, const Entry& entry, const std::string& path, Reader& reader) {
                if (auto value = reader.scalar(entry.value, type, path)) into.*member = *std::move(value);
            }};
}

/// A value with a default, written as in a spec.
template <class S, class T>
Field<S> defaulted(Key key, Located<T> S::* member, Scalar<T> type, const std::string& fallback) {
    const T value = type.parse(fallback, "/").value();
    Field<S> field = required(std::move(key), member, std::move(type));
    field.info.presence = FieldInfo::Presence::defaulted;
    field.info.fallback = fallback;
    field.fall_back = [member, value](S& into) { into.*member = {value}; };
    return field;
}

/// A value that is as another one when left out; the other stands before it in the table.
template <class S, class T>
Field<S> same_as(Key key, Located<T> S::* member, Scalar<T> type, Located<T> S::* other, const std::string& other_key) {
    Field<S> field = required(std::move(key), member, std::move(type));
    field.info.presence = FieldInfo::Presence::defaulted;
    field.info.fallback = "the same as " + other_key;
    field.info.is_fallback_in_words = true;
    field.fall_back = [member, other](S& into) { into.*member = {(into.*other).value}; };
    return field;
}

/// A value that may be left out.
template <class S, class T>
Field<S> optional(Key key, std::optional<Located<T>> S::* member, Scalar<T> type) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::optional, FieldInfo::Shape::scalar, type.info);
    return {std::move(info),
            [member, type = std::move(type)](S& into, const Entry& entry, const std::string& path, Reader& reader) {
                into.*member = reader.scalar(entry.value, type, path);
            }};
}

/// The items of a list: at least one, none twice.
template <class T>
std::vector<Located<T>> read_list(const Node& node, const Scalar<T>& type, const std::string& path, Reader& reader) {
    std::vector<Located<T>> list;
    if (!reader.expect(node, Node::Kind::list, path)) return list;
    if (node.items.empty()) reader.fail(node.at, path, "at least one is wanted");
    std::set<T> seen;
    for (const Node& item : node.items) {
        auto value = reader.scalar(item, type, path);
        if (!value) continue;
        if (!seen.insert(**value).second) reader.fail(item.at, path, shown(item.text) + " is given twice");
        list.push_back(*std::move(value));
    }
    return list;
}

/// A required list.
template <class S, class T>
Field<S> list(Key key, std::vector<Located<T>> S::* member, Scalar<T> type) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::required, FieldInfo::Shape::list, type.info);
    return {std::move(info),
            [member, type = std::move(type)](S& into, const Entry& entry, const std::string& path, Reader& reader) {
                into.*member = read_list(entry.value, type, path, reader);
            }};
}

/// A list that may be left out.
template <class S, class T>
Field<S> optional_list(Key key, std::vector<Located<T>> S::* member, Scalar<T> type) {
    Field<S> field = list(std::move(key), member, std::move(type));
    field.info.presence = FieldInfo::Presence::optional;
    return field;
}

/// A mapping with keys of its own, which may be left out.
template <class S, class P>
Field<S> part(Key key, std::optional<P> S::* member, Fields<P> inside) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::optional, FieldInfo::Shape::part);
    for (const Field<P>& field : inside) info.inside.push_back(field.info);
    return {std::move(info),
            [member, inside = std::move(inside)](S& into, const Entry& entry, const std::string& path, Reader& reader) {
                P& made = (into.*member).emplace();
                made.at = entry.at;
                if (!reader.expect(entry.value, Node::Kind::map, path)) return;
                reader.fields(made, entry.value, entry.at, inside, path);
            }};
}

/// A mapping with keys of its own that is always there.
template <class S, class P>
Field<S> required_part(Key key, P S::* member, Fields<P> inside) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::required, FieldInfo::Shape::part);
    for (const Field<P>& field : inside) info.inside.push_back(field.info);
    return {std::move(info),
            [member, inside = std::move(inside)](S& into, const Entry& entry, const std::string& path, Reader& reader) {
                (into.*member).at = entry.at;
                if (!reader.expect(entry.value, Node::Kind::map, path)) return;
                reader.fields(into.*member, entry.value, entry.at, inside, path);
            }};
}

/// The same, where each of its keys has a default and so the whole has one.
template <class S, class P>
Field<S> defaulted_part(Key key, P S::* member, const Fields<P>& inside) {
    Field<S> field = required_part(std::move(key), member, inside);
    field.info.presence = FieldInfo::Presence::defaulted;
    field.info.fallback = "the defaults of its keys";
    field.info.is_fallback_in_words = true;
    field.fall_back = [member, inside](S& into) {
        for (const Field<P>& one : inside) one.fall_back(into.*member);
    };
    return field;
}

/// Where a secret is to be had. Nothing that stands there is ever shown: it might be the secret itself.
template <class S>
Field<S> secret(Key key, Located<SecretRef> S::* member) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::required, FieldInfo::Shape::choice);
    info.inside = secret_ways();
    return {std::move(info), [member](S& into, const Entry& entry, const std::string& path, Reader& reader) {
                if (auto reference = read_secret_reference(entry, path, reader)) into.*member = *std::move(reference);
            }};
}

/// A mapping from names to parts, in the order of the file; it may be left out.
template <class S, class P>
Field<S> names(Key key, std::vector<P> S::* member, Scalar<std::string> name, Fields<P> inside) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::optional, FieldInfo::Shape::names);
    info.name = name.info;
    for (const Field<P>& field : inside) info.inside.push_back(field.info);
    return {std::move(info), [member, name = std::move(name), inside = std::move(inside)](
                                 S& into, const Entry& entry, const std::string& path, Reader& reader) {
                if (!reader.expect(entry.value, Node::Kind::map, path)) return;
                (into.*member).reserve(entry.value.entries.size());
                for (const Entry& named : entry.value.entries) {
                    const std::string below = Reader::below(path, named.key);
                    P made;
                    made.name = named.key;
                    made.at = named.at;
                    const bool is_named = reader.key(named, name, below).has_value();
                    if (reader.expect(named.value, Node::Kind::map, below)) {
                        reader.fields(made, named.value, named.at, inside, below);
                    }
                    if (is_named) (into.*member).push_back(std::move(made));
                }
            }};
}

/// A mapping from values to values, at least one; it may be left out.
template <class S, class P, class K, class V>
Field<S> pairs(Key key, std::vector<P> S::* member, Located<K> P::* left, Scalar<K> left_type, Located<V> P::* right,
               Scalar<V> right_type) {
    FieldInfo info = std::move(key).info(FieldInfo::Presence::optional, FieldInfo::Shape::pairs, right_type.info);
    info.name = left_type.info;
    return {std::move(info),
            [member, left, left_type = std::move(left_type), right, right_type = std::move(right_type)](
                S& into, const Entry& entry, const std::string& path, Reader& reader) {
                if (!reader.expect(entry.value, Node::Kind::map, path)) return;
                for (const Entry& pair : entry.value.entries) {
                    const std::string below = Reader::below(path, pair.key);
                    const auto first = reader.key(pair, left_type, below);
                    const auto second = reader.scalar(pair.value, right_type, below);
                    if (!first || !second) continue;
                    P made;
                    made.*left = *first;
                    made.*right = *second;
                    (into.*member).push_back(std::move(made));
                }
            }};
}

}  // namespace safe::specs
