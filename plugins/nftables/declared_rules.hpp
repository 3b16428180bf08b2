// One rule of the file as rules of a chain (connection_rules.hpp), between all the places that its two ends are. Pure.
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

}  // namespace safe::nftables
