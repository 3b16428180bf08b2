// Where a safe's entries lie in the directory, and how they are recognised as its own. Pure.
//
//   <base>
//     ou=people    uid=<user>        a member: objectClass safeMember
//     ou=groups    cn=<group>        members, super-users
//
// Every entry of ours bears safeName, the safe's name; one without it is somebody else's, whatever it is called.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/ldap/ldap_api.hpp"
#include "reconciler/model/resource_id.hpp"

namespace safe::ldap {

inline constexpr std::string_view mark = "safeName";
inline constexpr std::string_view mark_class = "safeObject";
inline constexpr std::string_view member_class = "safeMember";
inline constexpr std::string_view generation_attribute = "safeGeneration";
inline constexpr std::string_view password_attribute = "userPassword";
inline constexpr std::string_view version_attribute = "entryCSN";  // slapd's own: another one after every change
inline constexpr std::string_view members_group = "members";
inline constexpr std::string_view super_group = "super-users";

struct Layout {
    std::string safe;
    std::string base;  // a distinguished name

    /// What accounts lie below, or groups: "people", "groups".
    [[nodiscard]] static std::string unit_name(model::Kind kind);
    [[nodiscard]] std::string unit(model::Kind kind) const;
    [[nodiscard]] std::string account(std::string_view user) const;
    [[nodiscard]] std::string group(std::string_view group) const;
    [[nodiscard]] std::string name_of(const model::ResourceId& id) const;

    [[nodiscard]] bool owns(const Entry& entry) const;
    /// Whether something of ours can be called so. Directories compare names more loosely than we do: for them " bob"
    /// and "BOB" are bob. What cannot be ours is therefore never asked about.
    [[nodiscard]] static bool can_name(std::string_view name);
    /// What an entry below unit(kind) is to us; nullopt for a name that nothing of ours can have.
    [[nodiscard]] static std::optional<model::ResourceId> id_of(model::Kind kind, const Entry& entry);
};

/// The attribute that names an entry of this kind: "uid" or "cn".
[[nodiscard]] std::string_view naming_attribute(model::Kind kind);

/// The uid or gid number of something of ours: in 1879048192 to 2147483647, which no system hands out by itself, and
/// following from the name alone, so that a directory made anew gives everybody the files they had, and nobody who
/// comes later those of somebody who left.
[[nodiscard]] std::uint32_t number_of(std::string_view safe, const model::ResourceId& id);

}  // namespace safe::ldap
