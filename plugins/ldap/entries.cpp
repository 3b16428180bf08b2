#include "plugins/ldap/entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "plugins/ldap/escaping.hpp"
#include "reconciler/base/digest.hpp"

namespace safe::ldap {
namespace {

using model::Attributes;
using model::Branch;
using model::Kind;

enum class Shape {
    text,
    number,
    names,  // several values, each its own key
    keys,   // several values that are too long to be keys
};

struct Field {
    std::string_view ours;
    std::string_view theirs;
    Shape shape;
};

// In the order of our names, in which attributes are kept: nothing has to be sorted for thousands of accounts.
constexpr std::array account_fields{
    Field{"gid-number", "gidNumber", Shape::number},
    Field{"home", "homeDirectory", Shape::text},
    Field{"mail", "mail", Shape::text},
    Field{"name", "cn", Shape::text},
    Field{"shell", "loginShell", Shape::text},
    Field{"ssh-keys", "sshPublicKey", Shape::keys},
    Field{"surname", "sn", Shape::text},
    Field{"uid-number", "uidNumber", Shape::number},
};
constexpr std::array group_fields{
    Field{"gid-number", "gidNumber", Shape::number},
    Field{"members", "memberUid", Shape::names},
};
constexpr std::array account_classes{std::string_view("inetOrgPerson"), std::string_view("posixAccount"),
                                     std::string_view("ldapPublicKey"), member_class};
constexpr std::array group_classes{std::string_view("posixGroup"), mark_class};

std::span<const Field> fields_of(Kind kind) {
    if (kind == Kind::account) return account_fields;
    return group_fields;
}

std::span<const std::string_view> classes_of(Kind kind) {
    if (kind == Kind::account) return account_classes;
    return group_classes;
}

/// "ssh-ed25519 3f2a9c01d8b7": tells keys apart at a glance.
std::string key_label(std::string_view key) {
    std::string label(key.substr(0, key.find(' ')));
    label += ' ';
    return label += base::blake2b_hex(key, 6);
}

/// A value that is there twice counts once.
Branch branch_of(std::vector<model::Entry> entries) {
    if (!std::ranges::is_sorted(entries, {}, &model::Entry::key)) std::ranges::sort(entries, {}, &model::Entry::key);
    const auto repeated = std::ranges::unique(entries, {}, &model::Entry::key);
    entries.erase(repeated.begin(), repeated.end());
    return {Branch::Order::none, std::move(entries)};
}

/// What several values look like where one is expected: never equal to a wanted one.
std::string several(const Values& values) { return fmt::format("{}", fmt::join(values, " and ")); }

model::Value value_of(Shape shape, Values&& values) {
    switch (shape) {
        case Shape::text:
            break;
        case Shape::number: {
            std::int64_t number = 0;
            const std::string& text = values.front();
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
            if (values.size() == 1 && error == std::errc() && end == text.data() + text.size()) return number;
            break;
        }
        case Shape::names:
        case Shape::keys: {
            std::vector<model::Entry> entries;
            entries.reserve(values.size());
            for (std::string& value : values) {
                std::string key = shape == Shape::names ? value : key_label(value);
                entries.push_back({std::move(key), shape == Shape::names ? model::Value(true) : std::move(value)});
            }
            return branch_of(std::move(entries));
        }
    }
    return values.size() == 1 ? std::move(values.front()) : several(values);
}

Values values_of(Shape shape, const model::Value* value) {
    if (value == nullptr) return {};
    if (const Branch* branch = value->branch()) {
        Values values;
        for (const model::Entry& entry : branch->entries()) {
            const auto* text = shape == Shape::keys ? model::get<std::string>(*branch, entry.key) : &entry.key;
            if (text != nullptr) values.push_back(*text);
        }
        return values;
    }
    const model::Scalar& scalar = *value->scalar();
    if (const auto* number = std::get_if<std::int64_t>(&scalar)) return {std::to_string(*number)};
    if (const auto* text = std::get_if<std::string>(&scalar)) return {*text};
    return {};
}

Values class_names(Kind kind) {
    const auto classes = classes_of(kind);
    return {classes.begin(), classes.end()};
}

/// Those of our classes that it does not have; its other ones are its own business.
Values missing_classes(Kind kind, const Entry& entry) {
    const Values* there = entry.find("objectClass");
    Values missing;
    for (const std::string_view wanted : classes_of(kind))
        if (there == nullptr ||
            std::ranges::none_of(*there, [&](const std::string& name) { return same_name(name, wanted); }))
            missing.emplace_back(wanted);
    return missing;
}

/// What the class person demands besides the name: its last word.
std::string surname(std::string_view name) {
    const std::size_t last = name.find_last_not_of(' ');
    if (last == std::string_view::npos) return std::string(name);
    const std::string_view trimmed = name.substr(0, last + 1);
    const std::size_t space = trimmed.rfind(' ');
    return std::string(space == std::string_view::npos ? trimmed : trimmed.substr(space + 1));
}

std::uint32_t number(std::string_view safe, Kind kind, std::string_view name) {
    return number_of(safe, model::make_id(kind, name));
}

}  // namespace

Accounts::Accounts(std::string_view safe) : safe_(safe), members_number_(number(safe, Kind::group, members_group)) {}

Attributes Accounts::attributes(const specs::UserSpec& user) const {
    std::vector<model::Entry> keys;
    for (const auto& key : user.ssh_keys) keys.push_back({key_label(*key), *key});
    std::vector<model::Entry> entries;  // in the order of the fields
    entries.reserve(account_fields.size());
    entries.push_back({"gid-number", members_number_});
    entries.push_back({"home", "/home/" + user.name});
    if (user.mail) entries.push_back({"mail", **user.mail});
    entries.push_back({"name", *user.full_name});
    entries.push_back({"shell", "/bin/bash"});
    if (!keys.empty()) entries.push_back({"ssh-keys", branch_of(std::move(keys))});
    entries.push_back({"surname", surname(*user.full_name)});
    entries.push_back({"uid-number", number(safe_, Kind::account, user.name)});
    return {Branch::Order::none, std::move(entries)};
}

Attributes group_attributes(std::string_view safe, std::string_view group, const std::vector<std::string>& users) {
    std::vector<model::Entry> members;
    members.reserve(users.size());
    for (const std::string& user : users) members.push_back({user, true});
    Attributes attributes;
    attributes.set("gid-number", number(safe, Kind::group, group));
    if (!members.empty()) attributes.set("members", branch_of(std::move(members)));
    return attributes;
}

Attributes attributes_of(Kind kind, Entry entry) {
    std::vector<model::Entry> entries;
    entries.reserve(fields_of(kind).size());
    for (const Field& field : fields_of(kind))
        if (Values* values = entry.find(field.theirs); values != nullptr && !values->empty())
            entries.push_back({std::string(field.ours), value_of(field.shape, std::move(*values))});
    // Only what is wrong is worth a word: without a class, its attributes could not be written.
    const Values missing = missing_classes(kind, entry);
    if (!missing.empty()) entries.push_back({"classes-missing", several(missing)});
    return {Branch::Order::none, std::move(entries)};
}

Entry entry_of(const Layout& layout, const model::ResourceId& id, const Attributes& wanted) {
    Entry entry{.name = layout.name_of(id), .attributes = {}};
    entry.attributes.push_back({"objectClass", class_names(id.kind)});
    entry.attributes.push_back({std::string(naming_attribute(id.kind)), {id.name()}});
    entry.attributes.push_back({std::string(mark), {layout.safe}});
    for (const Field& field : fields_of(id.kind))
        if (Values values = values_of(field.shape, wanted.find(field.ours)); !values.empty())
            entry.attributes.push_back({std::string(field.theirs), std::move(values)});
    return entry;
}

std::vector<Modification> modifications(Kind kind, const Entry& entry, const Attributes& wanted) {
    std::vector<Modification> changes;
    // Classes first: the server judges the outcome, but people who read its log do so in order.
    if (Values missing = missing_classes(kind, entry); !missing.empty())
        changes.push_back({Modification::How::add, "objectClass", std::move(missing)});
    const Attributes there = attributes_of(kind, entry);
    for (const Field& field : fields_of(kind)) {
        const model::Value* before = there.find(field.ours);
        const model::Value* after = wanted.find(field.ours);
        if (before == nullptr && after == nullptr) continue;
        if (before != nullptr && after != nullptr && *before == *after) continue;
        changes.push_back({Modification::How::replace, std::string(field.theirs), values_of(field.shape, after)});
    }
    return changes;
}

std::vector<std::string> asked_for(Kind kind) {
    std::vector<std::string> names{"objectClass", std::string(mark)};
    if (kind == Kind::account) names.emplace_back(generation_attribute);
    for (const Field& field : fields_of(kind)) names.emplace_back(field.theirs);
    return names;
}

}  // namespace safe::ldap
