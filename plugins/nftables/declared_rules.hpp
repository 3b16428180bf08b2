// One rule of the file as rules of a chain (connection_rules.hpp), between all the places that its two ends are. Pure.
#pragma once

#include <vector>

#include "plugins/nftables/ruleset.hpp"
#include "specs/spec.hpp"

namespace safe::nftables {

struct DeclaredRules {
    std::vector<Rule> rules;       // of the chain that the rule is for
    std::vector<Rule> while_open;  // of a rule for every mode, what a workspace VM sends: it runs in no other
};

/// `network` is the spec's own. Fails when the rule names something that this spec does not have. Empty when none of
/// its traffic ever crosses the bridge.
[[nodiscard]] base::Result<DeclaredRules> declared_rules(const specs::SafeSpec& spec, const specs::NetworkSpec& network,
                                                         const specs::RuleSpec& rule);

}  // namespace safe::nftables
