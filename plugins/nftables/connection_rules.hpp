// What lets connections pass between two places: for each service a rule for the direction that opens them and one for
// the replies, and one each way for the ICMP errors about them; all in the same chain, so that a connection lives no
// longer than the rule that allowed it. Pure.
#pragma once

#include <string>
#include <vector>

#include "plugins/nftables/ruleset.hpp"
#include "specs/spec.hpp"

namespace safe::nftables {

/// Where addresses are, seen from the bridge: behind the port of a VM, or on and behind the hypervisor.
struct Place {
    std::string label;                  // "desktop", "@users": VMs' names have no '@'
    const specs::VmSpec* vm = nullptr;  // nullptr: the hypervisor's side
    specs::Cidr addresses = {};
};

/// The VM itself; it has an address.
[[nodiscard]] Place place_of(const specs::VmSpec& vm);
/// The hypervisor's own address on the bridge.
[[nodiscard]] Place hypervisor_place(const specs::NetworkSpec& network);
/// It is a workspace VM: it sends and is reached while the safe is open, and never otherwise.
[[nodiscard]] bool sleeps(const Place& place);

class ConnectionRules {
 public:
    /// `name` is the rule's in attributes: "users-to-desktop", "implied/nfs/desktop".
    ConnectionRules(const specs::SafeSpec& spec, std::string name) : spec_(spec), name_(std::move(name)) {}

    /// `suffix` tells the pairs of a rule between several places apart. A service named twice counts once.
    void pair(const Place& from, const Place& to, const std::vector<specs::Service>& services,
              const std::string& suffix = {});

    [[nodiscard]] std::vector<Rule> take() { return std::move(rules_); }

 private:
    const specs::SafeSpec& spec_;
    std::string name_;
    std::vector<Rule> rules_;
};

/// As libnftables lists it: an address alone when it is a single one.
[[nodiscard]] Json address_value(const specs::Cidr& addresses);

}  // namespace safe::nftables
