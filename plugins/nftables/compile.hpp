// What a spec means to the firewall: which chains with which rules, in every mode at once. Pure.
//
//   prerouting  every frame that enters the safe's bridge → sources: its sender must be the VM behind that port, before
//               connection tracking and every other rule; VLAN tags, IPv6 and whatever else is neither ARP nor IPv4 end
//               here
//   forward, input, output   between VMs, to the hypervisor (or outside through its routing) and back → base: default
//   drop
//
// Frames of other bridges match nothing in our chains and are accepted at once. Bridge and interfaces are matched by
// name, so that the firewall stands before they exist.
#pragma once

#include <vector>

#include "plugins/nftables/ruleset.hpp"
#include "reconciler/model/resource.hpp"
#include "specs/spec.hpp"

namespace safe::nftables {

struct Firewall {
    std::vector<Chain> base;  // chain base, those with hooks, and what they need
    Chain open;
    Chain locked;
    std::vector<model::Refusal> refusals = {};
};

/// The spec must have a network.
[[nodiscard]] Firewall compile(const specs::SafeSpec& spec);

}  // namespace safe::nftables
