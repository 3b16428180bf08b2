// Text of ours inside distinguished names (RFC 4514) and search filters (RFC 4515). Nothing reaches either except
// through these. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safe::ldap {

/// An attribute's value as it is written in a distinguished name: any bytes, NUL, comma, plus, leading and trailing
/// spaces and non-ASCII among them.
[[nodiscard]] std::string dn_value(std::string_view value);

/// "uid=bob,ou=people,dc=example": the entry called `value` right below `parent`, which is a name already.
[[nodiscard]] std::string child_of(std::string_view parent, std::string_view attribute, std::string_view value);

/// "(uid=bob)": that `attribute` has exactly this value, whatever bytes it is made of.
[[nodiscard]] std::string equals(std::string_view attribute, std::string_view value);
[[nodiscard]] std::string all_of(const std::vector<std::string>& filters);
[[nodiscard]] std::string any_of(const std::vector<std::string>& filters);

/// The first part of a distinguished name, unescaped: {"uid", "bob"}, the type in lower case. nullopt for the empty
/// name, for one of several types (uid=a+cn=b), and for what is no name.
struct NamePart {
    std::string type;
    std::string value;
    bool operator==(const NamePart&) const = default;
};
[[nodiscard]] std::optional<NamePart> first_part(std::string_view name);

/// The names of attributes and classes are compared without case (RFC 4512 section 2.5).
[[nodiscard]] bool same_name(std::string_view one, std::string_view other);

}  // namespace safe::ldap
