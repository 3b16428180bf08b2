// Connections that every safe needs and nobody has to write: NFS to the hypervisor for what a VM mounts, the directory,
// and the monitor's logs. A rule that a workspace VM is an end of holds while the safe is open and in no other mode.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "plugins/nftables/ruleset.hpp"
#include "specs/spec.hpp"

namespace safe::nftables {

struct ImpliedRule {
    bool only_open = false;  // else it holds in every mode
    std::string label;       // what it means
    std::vector<Rule> rules;
};

/// implied/nfs/VM for every VM that mounts something: all that chain `storage` is for.
[[nodiscard]] std::vector<ImpliedRule> nfs_rules(const specs::SafeSpec& spec, const specs::NetworkSpec& network);

/// implied/directory/VM: from the gateway, the workspace VMs and the hypervisor to the VM whose address the directory
/// has, at its port. Nothing when the directory is no VM of this safe.
[[nodiscard]] std::vector<ImpliedRule> directory_rules(const specs::SafeSpec& spec, const specs::NetworkSpec& network);

/// implied/logs/VM: from every VM to the one called monitor, syslog over TLS (RFC 5425).
[[nodiscard]] std::vector<ImpliedRule> log_rules(const specs::SafeSpec& spec);

}  // namespace safe::nftables
