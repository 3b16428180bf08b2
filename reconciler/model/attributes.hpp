// What is known of a resource: a tree whose leaves are typed scalars and whose branches are keyed. Two shapes of
// branch: without order (a map; an unordered list is one too), and with order, where an entry's place matters (firewall
// rules). Everything is compared by key, so that taking the first of two hundred rules away is one difference.
// Values: copied freely, no identity, no secrets. Drivers parse what they see into these; text is never compared.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace safe::model {

/// A number of bytes, so that views can print it in units.
struct Bytes {
    std::uint64_t count = 0;
    auto operator<=>(const Bytes&) const = default;
};

using Scalar = std::variant<bool, std::int64_t, Bytes, std::string>;

struct Entry;

class Branch {
 public:
    enum class Order { none, significant };

    // Defined where Entry is complete.
    Branch();
    explicit Branch(Order order);
    /// From entries at hand whose keys are unique, in linear time when order matters: for branches of thousands.
    Branch(Order order, std::vector<Entry> entries);
    Branch(const Branch& other);
    Branch(Branch&& other) noexcept;
    Branch& operator=(const Branch& other);
    Branch& operator=(Branch&& other) noexcept;
    ~Branch();

    /// Sets `key`, replacing what was there. A new key of an ordered branch comes last. Returns *this for chaining.
    Branch& set(std::string_view key, class Value value);

    /// nullptr when there is no such key. The pointer lives until the branch is changed.
    [[nodiscard]] const Value* find(std::string_view key) const;

    /// In key order when order does not matter, in their own order when it does.
    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
    [[nodiscard]] bool ordered() const { return order_ == Order::significant; }
    [[nodiscard]] bool empty() const;

    bool operator==(const Branch&) const;

 private:
    Order order_ = Order::none;
    std::vector<Entry> entries_;
};

using Attributes = Branch;

class Value {
 public:
    Value(bool value) : node_(Scalar(value)) {}
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Value(T value) : node_(Scalar(static_cast<std::int64_t>(value))) {}
    Value(Bytes value) : node_(Scalar(value)) {}
    Value(std::string value) : node_(Scalar(std::move(value))) {}
    Value(std::string_view value) : node_(Scalar(std::string(value))) {}
    Value(const char* value) : node_(Scalar(std::string(value))) {}
    Value(Scalar value) : node_(std::move(value)) {}
    Value(Branch value) : node_(std::move(value)) {}

    /// nullptr when it is the other of the two.
    [[nodiscard]] const Scalar* scalar() const { return std::get_if<Scalar>(&node_); }
    [[nodiscard]] const Branch* branch() const { return std::get_if<Branch>(&node_); }

    bool operator==(const Value&) const = default;

 private:
    std::variant<Scalar, Branch> node_;
};

struct Entry {
    std::string key;
    Value value;
    bool operator==(const Entry&) const = default;
};

/// The scalar of type T at `key`, or nullptr when it is missing or of another type.
template <class T>
[[nodiscard]] const T* get(const Branch& branch, std::string_view key) {
    const Value* value = branch.find(key);
    const Scalar* scalar = value ? value->scalar() : nullptr;
    return scalar ? std::get_if<T>(scalar) : nullptr;
}

/// The one canonical spelling of a tree, for digests: equal trees and only equal trees have equal text.
[[nodiscard]] std::string canonical_text(const Branch& branch);

/// For people: `yes`, `4`, `512 MiB`, `br-atlas`; a branch as `{a: 1, b: 2}`.
[[nodiscard]] std::string to_text(const Value& value);
/// `512 MiB`, `1.5 GiB`, `100 B`: binary units, the largest that leaves at least 1.
[[nodiscard]] std::string to_text(Bytes bytes);

}  // namespace safe::model
