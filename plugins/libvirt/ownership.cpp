#include "plugins/libvirt/ownership.hpp"

#include <fmt/chrono.h>

#include <chrono>
#include <sstream>

namespace safe::libvirt {
namespace {

constexpr const char* owner_prefix = "safe";
constexpr const char* suspended_prefix = "suspended";
constexpr const char* restored_prefix = "restored";

/// The child of <metadata> in the namespace `uri`, whatever its prefix. libvirt wants the namespace declared on the
/// child.
pugi::xml_node find(pugi::xml_node root, std::string_view uri) {
    for (const pugi::xml_node child : root.child("metadata").children())
        for (const pugi::xml_attribute attribute : child.attributes()) {
            const std::string_view name = attribute.name();
            if (attribute.value() != uri || !name.starts_with("xmlns:")) continue;
            if (std::string_view(child.name()).starts_with(std::string(name.substr(6)) + ":")) return child;
        }
    return {};
}

pugi::xml_node append(pugi::xml_node root, const char* prefix, const char* name, std::string_view uri) {
    pugi::xml_node metadata = root.child("metadata");
    if (!metadata) metadata = root.append_child("metadata");
    pugi::xml_node element = metadata.append_child((std::string(prefix) + ":" + name).c_str());
    element.append_attribute((std::string("xmlns:") + prefix).c_str()) = std::string(uri).c_str();
    return element;
}

void fill(pugi::xml_node element, const Owner& owner) {
    element.append_attribute("safe") = owner.safe.c_str();
    if (owner.vm.empty()) return;
    element.append_attribute("vm") = owner.vm.c_str();
    element.append_attribute("role") = owner.role.c_str();
    element.append_attribute("memory") = static_cast<unsigned long long>(owner.memory);
}

void fill(pugi::xml_node element, const Suspension& suspension) {
    element.append_attribute("in") = suspension.in.c_str();
    if (!suspension.at.empty()) element.append_attribute("at") = suspension.at.c_str();
}

}  // namespace

void write_owner(pugi::xml_node root, const Owner& owner) {
    fill(append(root, owner_prefix, "owner", owner_uri), owner);
}

std::optional<Owner> read_owner(pugi::xml_node root) {
    const pugi::xml_node element = find(root, owner_uri);
    if (!element) return std::nullopt;
    return Owner{.safe = element.attribute("safe").value(),
                 .vm = element.attribute("vm").value(),
                 .role = element.attribute("role").value(),
                 .memory = element.attribute("memory").as_ullong()};
}

Metadata owner_metadata(const Owner& owner) {
    // libvirt puts prefix and namespace on the element itself.
    pugi::xml_document document;
    fill(document.append_child("owner"), owner);
    return {std::string(owner_uri), owner_prefix, xml_text(document)};
}

void write_suspended(pugi::xml_node root, const Suspension& suspension) {
    fill(append(root, suspended_prefix, "suspended", suspended_uri), suspension);
}

std::optional<Suspension> read_suspended(pugi::xml_node root) {
    const pugi::xml_node element = find(root, suspended_uri);
    if (!element) return std::nullopt;
    return Suspension{.in = element.attribute("in").value(), .at = element.attribute("at").value()};
}

Suspension suspended_now(std::string_view in) {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    return {.in = std::string(in), .at = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(now))};
}

Metadata suspended_metadata(const std::optional<Suspension>& suspension) {
    Metadata metadata{std::string(suspended_uri), suspended_prefix, std::nullopt};
    if (!suspension) return metadata;
    pugi::xml_document document;
    fill(document.append_child("suspended"), *suspension);
    metadata.xml = xml_text(document);
    return metadata;
}

bool read_restored(pugi::xml_node root) { return !find(root, restored_uri).empty(); }

Metadata restored_metadata() {
    pugi::xml_document document;
    document.append_child("restored");
    return {std::string(restored_uri), restored_prefix, xml_text(document)};
}

std::string xml_text(const pugi::xml_document& document) {
    std::ostringstream out;
    document.save(out, "  ", pugi::format_indent | pugi::format_no_declaration);
    return std::move(out).str();
}

}  // namespace safe::libvirt
