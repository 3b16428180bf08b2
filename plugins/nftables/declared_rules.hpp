// One rule of the file as rules of a chain: for each service a rule for the direction that opens connections and one
// for the replies, and one each way for the ICMP errors about them; all in the same chain, so that a connection lives
// no longer than the rule that allowed it. Pure.
#pragma once

#include <vector>

#include "plugins/nftables/ruleset.hpp"
#include "specs/spec.hpp"

namespace safe::nftables {

/// `network` is the spec's own. Fails when the rule names something that this spec does not have, or traffic that never
/// crosses the bridge.
[[nodiscard]] base::Result<std::vector<Rule>> declared_rules(const specs::SafeSpec& spec,
                                                             const specs::NetworkSpec& network,
                                                             const specs::RuleSpec& rule);

/// As libnftables lists it: an address alone when it is a single one.
[[nodiscard]] Json address_value(const specs::Cidr& addresses);

}  // namespace safe::nftables
