// What the drivers need of a directory server (RFC 4511). Implementations are called from several threads at once and
// guard themselves. Every call ends within the limits of its implementation; none is repeated behind the caller's back
// once it may have reached the server. Names and filters given here are escaped already (escaping.hpp); values are
// bytes.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reconciler/base/result.hpp"
#include "reconciler/base/secret.hpp"

namespace safe::ldap {

/// Why there is no answer of the wished kind.
struct Failure {
    enum class Kind {
        unreachable,  // no server answered: nothing is known, and a request may or may not have been carried out
        missing,      // the server says that there is no such entry
        exists,       // … that there is one already
        not_as_was,   // … that the entry has no such value to take away, or has the one to add: it has moved on
        failed,       // … no, for another reason; or its answer makes no sense
    };
    Kind kind = Kind::failed;
    base::Error error;
};

template <class T>
using Answer = std::expected<T, Failure>;

using Values = std::vector<std::string>;

struct Attribute {
    std::string name;
    Values values;
    bool operator==(const Attribute&) const = default;
};

struct Entry {
    std::string name;  // the distinguished name
    std::vector<Attribute> attributes;

    /// The values of an attribute, whose name is compared without regard to case; nullptr when it has none.
    [[nodiscard]] const Values* find(std::string_view attribute) const;
    [[nodiscard]] Values* find(std::string_view attribute);
    /// Its first value; empty when it has none.
    [[nodiscard]] std::string_view first(std::string_view attribute) const;
};

struct Modification {
    enum class How { add, remove, replace };  // remove: these values, or all of them when none is named
    How how = How::replace;
    std::string attribute;
    Values values;
    bool operator==(const Modification&) const = default;
};

struct Query {
    enum class Depth { itself, children, below };
    std::string base;
    Depth depth = Depth::children;
    std::string filter = "(objectClass=*)";
    std::vector<std::string> attributes = {};  // none: all that people use
};

class Api {
 public:
    Api() = default;
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;
    Api(Api&&) = delete;
    Api& operator=(Api&&) = delete;
    virtual ~Api() = default;

    /// Every entry found, once, while the server looks for the next; fetched in pages (RFC 2696). After a Failure what
    /// was given counts for nothing: it is a part. `found` must not call this object.
    [[nodiscard]] virtual Answer<void> search(const Query& query, const std::function<void(Entry)>& found) = 0;
    /// All of it or a Failure, never a part.
    [[nodiscard]] Answer<std::vector<Entry>> search(const Query& query);
    [[nodiscard]] virtual Answer<void> add(const Entry& entry) = 0;
    /// All modifications or none; and none unless the entry matches `assertion`, a filter, at the moment in which it is
    /// done (RFC 4528): not_as_was then.
    [[nodiscard]] virtual Answer<void> modify(const std::string& name, const std::vector<Modification>& changes,
                                              const std::string& assertion) = 0;
    [[nodiscard]] Answer<void> modify(const std::string& name, const std::vector<Modification>& changes) {
        return modify(name, changes, "");
    }
    [[nodiscard]] virtual Answer<void> remove(const std::string& name) = 0;
    /// Whether the server takes `password` for this entry, on a connection of its own. An empty one is an error and is
    /// never sent, because servers take it for an anonymous bind and say yes (RFC 4513, 5.1.2).
    [[nodiscard]] virtual Answer<bool> binds(const std::string& name, const base::Secret& password) = 0;
};

}  // namespace safe::ldap
