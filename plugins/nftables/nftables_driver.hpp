// The firewall of a safe: the driver of kind ruleset. ruleset/base stands in every mode; ruleset/open and
// ruleset/locked hold the rules of their mode. Owns its Api; safe to call from several threads at once.
#pragma once

#include <memory>
#include <string>

#include "plugins/nftables/nftables_api.hpp"
#include "reconciler/driver/driver.hpp"

namespace safe::nftables {

struct Options {
    std::string safe;  // its name; the table is "safe-<name>" of family bridge
};

/// On the kernel of this network namespace. Needs CAP_NET_ADMIN from the first observe on.
[[nodiscard]] std::unique_ptr<driver::Driver> make_driver(const Options& options);

/// On another nftables: what tests use.
[[nodiscard]] std::unique_ptr<driver::Driver> make_driver(const Options& options, std::unique_ptr<Api> api);

}  // namespace safe::nftables
