// Finds the safe's virtual machines among the domains of a hypervisor, and tells them from others under their name.
// Ours is what bears our mark, under the UUID and the name that belong to it. Shared by the drivers of vm and of power;
// holds no state, thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugins/libvirt/domain_xml.hpp"
#include "plugins/libvirt/drivers.hpp"

namespace safe::libvirt {

/// A domain of ours.
struct Found {
    Domain domain;
    DomainSeen seen;
    Owner owner;
};

using Sighting = std::variant<model::Absent, model::Foreign, model::Unknown, Found>;

struct Sightings {
    std::map<std::string, Sighting> vms;  // by the name of the VM: those asked for, and with `enumerate` all of ours
    std::vector<std::string> warnings = {};
};

class DomainFinder {
 public:
    DomainFinder(SharedApi api, Layout layout) : api_(std::move(api)), layout_(std::move(layout)) {}

    /// An Error when nothing could be listed at all.
    [[nodiscard]] base::Result<Sightings> find(const driver::Scope& scope, View view) const;

    [[nodiscard]] Sighting find(const std::string& vm, View view) const;

 private:
    [[nodiscard]] Sighting judge(const std::string& vm, const Domain& domain, View view) const;

    SharedApi api_;
    Layout layout_;
};

}  // namespace safe::libvirt
