// The mark that says whose a domain or network is: one element of our own XML namespace below <metadata>, kept by
// libvirt with the object itself. A second element, of another namespace, says that it was we who paused a guest.
#pragma once

#include <pugixml.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "plugins/libvirt/libvirt_api.hpp"

namespace safe::libvirt {

inline constexpr std::string_view owner_uri = "urn:digital-safe:owner:1";
inline constexpr std::string_view suspended_uri = "urn:digital-safe:suspended:1";

struct Owner {
    std::string safe;
    std::string vm = {};    // empty for a network
    std::string role = {};  // of a VM
    /// What the guest was last told to use, in bytes: its balloon follows in its own time, so what it uses says less.
    std::uint64_t memory = 0;
};

/// Adds the element to <metadata>, which is made when it is missing.
void write_owner(pugi::xml_node root, const Owner& owner);
/// nullopt when the object bears no such mark.
[[nodiscard]] std::optional<Owner> read_owner(pugi::xml_node root);
[[nodiscard]] Metadata owner_metadata(const Owner& owner);

/// How the guest was suspended: "ram".
void write_suspended(pugi::xml_node root, std::string_view how);
[[nodiscard]] std::optional<std::string> read_suspended(pugi::xml_node root);
/// nullopt takes the mark away.
[[nodiscard]] Metadata suspended_metadata(std::optional<std::string_view> how);

[[nodiscard]] std::string xml_text(const pugi::xml_document& document);

}  // namespace safe::libvirt
