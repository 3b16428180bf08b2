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

#include <map>
#include <string>
#include <vector>

#include "plugins/nftables/ruleset.hpp"
#include "reconciler/model/resource.hpp"
#include "specs/spec.hpp"

namespace safe::nftables {

struct Firewall {
    std::vector<Chain> base;  // chain base, those with hooks, and what they need
    Chain storage;            // its first rule alone when no VM mounts anything
    Chain open;
    Chain locked;
    std::map<std::string, std::string> labels = {};  // what a rule means, by its key in attributes
    std::vector<std::string> notes = {};             // of rules that allow nothing
    std::vector<model::Refusal> refusals = {};
};

/// `network` is the spec's own.
[[nodiscard]] Firewall compile(const specs::SafeSpec& spec, const specs::NetworkSpec& network);

}  // namespace safe::nftables
