#include "plugins/ldap/layout.hpp"

#include <algorithm>
#include <span>

#include "plugins/ldap/escaping.hpp"
#include "reconciler/base/digest.hpp"

namespace safe::ldap {

using model::Kind;

std::string Layout::unit_name(Kind kind) { return kind == Kind::account ? "people" : "groups"; }
std::string Layout::unit(Kind kind) const { return child_of(base, "ou", unit_name(kind)); }
std::string Layout::account(std::string_view user) const { return child_of(unit(Kind::account), "uid", user); }
std::string Layout::group(std::string_view group) const { return child_of(unit(Kind::group), "cn", group); }

std::string Layout::name_of(const model::ResourceId& id) const {
    return id.kind == Kind::account ? account(id.name()) : group(id.name());
}

bool Layout::owns(const Entry& entry) const { return entry.first(mark) == safe; }

std::optional<model::ResourceId> Layout::id_of(Kind kind, const Entry& entry) {
    const std::optional<NamePart> part = first_part(entry.name);
    if (!part || part->type != naming_attribute(kind)) return std::nullopt;
    if (!can_name(part->value)) return std::nullopt;
    return model::make_id(kind, part->value);
}

bool Layout::can_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

std::string_view naming_attribute(Kind kind) { return kind == Kind::account ? "uid" : "cn"; }

std::uint32_t number_of(std::string_view safe, const model::ResourceId& id) {
    constexpr std::uint32_t first = 1'879'048'192;
    constexpr std::uint32_t count = 268'435'456;
    const auto digest = base::sha256(std::string(safe) + "/" + to_text(id));
    std::uint32_t start = 0;
    for (const std::uint8_t byte : std::span(digest).first(4)) start = start << 8U | byte;
    return first + start % count;
}

}  // namespace safe::ldap
