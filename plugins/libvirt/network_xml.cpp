#include "plugins/libvirt/network_xml.hpp"

#include <string_view>

#include "plugins/libvirt/drivers.hpp"
#include "specs/values.hpp"

namespace safe::libvirt {
namespace {

using model::Attributes;
using model::Branch;
using pugi::xml_node;

void set(xml_node node, const char* name, const std::string& value) { node.append_attribute(name) = value.c_str(); }

void write_reservation(xml_node host, const model::Entry& reservation) {
    const Branch* entry = reservation.value.branch();
    if (entry == nullptr) return;
    if (const std::string mac = text_of(*entry, "mac"); !mac.empty()) set(host, "mac", mac);
    // An entry that bears no name is keyed by its mac.
    if (reservation.key != text_of(*entry, "mac")) set(host, "name", reservation.key);
    set(host, "ip", text_of(*entry, "address"));
}

/// "10.77.0.1/24" from either spelling that libvirt allows.
std::string address_of(xml_node ip) {
    std::string address = ip.attribute("address").value();
    if (const pugi::xml_attribute prefix = ip.attribute("prefix")) return address + "/" + prefix.value();
    const auto mask = specs::parse_ipv4(ip.attribute("netmask").value());
    if (!mask) return address;
    int bits = 0;
    while (bits < 32 && ((mask->value >> (31 - bits)) & 1U) != 0) ++bits;
    return address + "/" + std::to_string(bits);
}

void read_dhcp(xml_node dhcp, Branch& reservations, Branch& extra) {
    for (const xml_node host : dhcp.children("host")) {
        const std::string mac = host.attribute("mac").value();
        const std::string name = host.attribute("name").value();
        reservations.set(name.empty() ? mac : name,
                         Branch().set("mac", mac).set("address", host.attribute("ip").value()));
    }
    for (const xml_node range : dhcp.children("range"))
        extra.set(std::string("range ") + range.attribute("start").value() + "-" + range.attribute("end").value(),
                  "not in the spec");
}

/// What libvirt and we write; anything else was added by hand.
bool is_known(std::string_view name) {
    for (const std::string_view known :
         {"name", "uuid", "metadata", "forward", "bridge", "mac", "dns", "ip", "title", "description"})
        if (name == known) return true;
    return false;
}

}  // namespace

std::string network_xml(const NetworkIdentity& identity, const Attributes& attributes) {
    pugi::xml_document document;
    xml_node network = document.append_child("network");
    network.append_child("name").text().set(identity.name.c_str());
    network.append_child("uuid").text().set(identity.uuid.c_str());
    write_owner(network, identity.owner);
    // libvirt adds no firewall rules of its own to an open network: they are the safe's business.
    set(network.append_child("forward"), "mode", text_of(attributes, "forward"));
    const xml_node bridge = network.append_child("bridge");
    set(bridge, "name", text_of(attributes, "bridge"));
    set(bridge, "stp", "off");
    set(bridge, "delay", "0");
    set(network.append_child("mac"), "address", identity.mac);
    set(network.append_child("dns"), "enable", "no");
    const std::string address = text_of(attributes, "address");
    const std::size_t slash = address.find('/');
    xml_node ip = network.append_child("ip");
    set(ip, "address", address.substr(0, slash));
    set(ip, "prefix", address.substr(slash + 1));
    const model::Value* reservations = attributes.find("reservations");
    const Branch* hosts = reservations != nullptr ? reservations->branch() : nullptr;
    if (hosts != nullptr && !hosts->empty()) {
        xml_node dhcp = ip.append_child("dhcp");
        for (const model::Entry& entry : hosts->entries()) write_reservation(dhcp.append_child("host"), entry);
    }
    return xml_text(document);
}

base::Result<NetworkSeen> parse_network_xml(const std::string& xml) {
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
    const xml_node network = document.child("network");
    if (!parsed || !network)
        return base::fail({.attempt = "read what libvirt says of",
                           .object = "a network",
                           .cause = parsed ? "it is no <network>" : parsed.description(),
                           .advice = "virsh net-dumpxml shows it; this may be a defect of libvirt"});
    NetworkSeen seen{.uuid = network.child("uuid").text().get(),
                     .owner = read_owner(network),
                     .bridge = network.child("bridge").attribute("name").value(),
                     .attributes = {}};
    Branch reservations;
    Branch extra;
    const xml_node ip = network.child("ip");
    for (const xml_node other : network.children()) {
        const std::string name = other.name();
        if (name == "ip" && other != ip)
            extra.set("address " + address_of(other), "not in the spec");
        else if (!is_known(name))
            extra.set(name, "not in the spec");
    }
    read_dhcp(ip.child("dhcp"), reservations, extra);
    seen.attributes.set("bridge", seen.bridge)
        .set("address", address_of(ip))
        .set("forward", network.child("forward").attribute("mode").as_string("none"))
        .set("dns", network.child("dns").attribute("enable").as_string("yes") != std::string_view("no"))
        .set("reservations", std::move(reservations));
    if (!extra.empty()) seen.attributes.set("extra", std::move(extra));
    return seen;
}

std::string reservation_xml(const model::Entry& reservation) {
    pugi::xml_document document;
    write_reservation(document.append_child("host"), reservation);
    return xml_text(document);
}

}  // namespace safe::libvirt
