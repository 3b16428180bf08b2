// The mark that says whose a domain or network is: one element of our own XML namespace below <metadata>, kept by
// libvirt with the object itself. A second element, of another namespace, says that it was we who put a guest to sleep;
// a third, on a running guest alone, that it runs as it was saved although the spec has changed since.
#pragma once

#include <pugixml.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "plugins/libvirt/libvirt_api.hpp"

namespace safe::libvirt {

inline constexpr std::string_view owner_uri = "urn:digital-safe:owner:1";
inline constexpr std::string_view suspended_uri = "urn:digital-safe:suspended:1";
inline constexpr std::string_view restored_uri = "urn:digital-safe:restored:1";

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

inline constexpr std::string_view in_ram = "ram";
inline constexpr std::string_view on_disk = "disk";
inline constexpr std::string_view nowhere = "nowhere";  // closing waited no longer: what was in its memory is lost

/// How the guest was put to sleep, and when.
struct Suspension {
    std::string in;       // in_ram, on_disk or nowhere
    std::string at = {};  // "2026-11-19 18:02 UTC"; empty when nobody wrote it down
    bool operator==(const Suspension&) const = default;
};

void write_suspended(pugi::xml_node root, const Suspension& suspension);
[[nodiscard]] std::optional<Suspension> read_suspended(pugi::xml_node root);
/// With the time of day, for people.
[[nodiscard]] Suspension suspended_now(std::string_view in);
/// nullopt takes the mark away.
[[nodiscard]] Metadata suspended_metadata(const std::optional<Suspension>& suspension);

[[nodiscard]] bool read_restored(pugi::xml_node root);
[[nodiscard]] Metadata restored_metadata();

[[nodiscard]] std::string xml_text(const pugi::xml_document& document);

}  // namespace safe::libvirt
