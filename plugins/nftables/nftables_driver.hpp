// The firewall of a safe: the driver of kind ruleset. ruleset/base stands in every mode; ruleset/open and
// ruleset/locked hold the rules of their mode, ruleset/storage those by which VMs reach the volumes while it is open.
// With a rule the tracked connections go that it allowed. Owns its Api; safe to call from several threads at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::nftables {

struct Options {
    std::string safe;                        // its name; the table is "safe-<name>" of family bridge
    std::vector<specs::Cidr> networks = {};  // connections that touch none of these are none of ours
};

/// On the kernel of this network namespace. Needs CAP_NET_ADMIN from the first observe on.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);
[[nodiscard]] std::unique_ptr<driver::Driver> make_driver(const Options& options);

/// On another nftables: what tests use.
[[nodiscard]] std::unique_ptr<driver::Driver> make_driver(const Options& options, std::unique_ptr<Api> api,
                                                          std::unique_ptr<Connections> connections);

/// The safe's own network and its people's.
[[nodiscard]] std::vector<specs::Cidr> networks_of(const specs::SafeSpec& spec);

}  // namespace safe::nftables
