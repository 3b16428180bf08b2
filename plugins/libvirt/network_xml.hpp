// The safe's network as libvirt's network XML and as attributes, both ways. Pure;
// https://libvirt.org/formatnetwork.html.
#pragma once

#include <optional>
#include <string>

#include "plugins/libvirt/ownership.hpp"
#include "reconciler/base/result.hpp"
#include "reconciler/model/attributes.hpp"

namespace safe::libvirt {

struct NetworkIdentity {
    std::string name;
    std::string uuid;
    std::string mac;  // of the bridge
    Owner owner;
};

/// The definition of a network with these attributes: bridge, address (10.77.0.1/24), forward, dns, reservations (by
/// VM: mac, address).
[[nodiscard]] std::string network_xml(const NetworkIdentity& identity, const model::Attributes& attributes);

struct NetworkSeen {
    std::string uuid;
    std::optional<Owner> owner;
    std::string bridge;
    model::Attributes attributes;  // the same keys as above, and `extra` for what nobody asked for
};

/// An Error for what is no network XML.
[[nodiscard]] base::Result<NetworkSeen> parse_network_xml(const std::string& xml);

/// A <host> element as virNetworkUpdate wants it, from one entry of `reservations`.
[[nodiscard]] std::string reservation_xml(const model::Entry& reservation);

}  // namespace safe::libvirt
