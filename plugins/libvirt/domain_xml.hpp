// A virtual machine as libvirt's domain XML and as attributes, both ways. Only what the spec owns becomes an attribute:
// what libvirt fills in by itself (PCI addresses, aliases, machine versions, labels) is never looked at. Devices and
// settings that neither we nor libvirt put there come out under `extra`, because each may be a way out of the safe.
// Pure; https://libvirt.org/formatdomain.html.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/libvirt/ownership.hpp"
#include "reconciler/base/result.hpp"
#include "reconciler/model/attributes.hpp"

namespace safe::libvirt {

/// What a definition has besides its attributes.
struct Identity {
    std::string name;  // libvirt's
    std::string uuid;
    std::string type;  // <domain type=…>
    Owner owner;
    std::optional<Suspension> suspended = std::nullopt;
    std::string seed = {};  // the file of its cloud-init seed; empty without
};

/// The definition of a machine with these attributes: memory, memory-max, cpus, cpus-max, console, and where there are
/// such, nic, disk, boot.
[[nodiscard]] std::string domain_xml(const Identity& identity, const model::Attributes& hardware);

/// What is seen of a machine.
struct DomainSeen {
    std::string type;
    std::optional<Owner> owner;
    std::optional<Suspension> suspended;
    bool restored = false;              // it runs as it was saved, see ownership.hpp
    model::Attributes hardware;         // the same keys as above, and `extra`
    std::string seed = {};              // a second disk that cannot be written; whose, its file tells
    model::Bytes memory_in_use;         // a fact: a guest gives memory back in its own time, or never
    std::vector<std::string> networks;  // every libvirt network that any of its interfaces is on
};

/// It was put to sleep in the vault, and has not been woken all the way.
[[nodiscard]] inline bool sleeps_on_disk(const DomainSeen& seen) {
    return seen.suspended && seen.suspended->in == on_disk;
}

/// An Error for what is no domain XML. `view` is what the XML was asked for as.
[[nodiscard]] base::Result<DomainSeen> parse_domain(const std::string& xml, View view);

}  // namespace safe::libvirt
