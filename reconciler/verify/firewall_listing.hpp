// The safe's firewall as nft lists it, chain by chain: what verify needs to know of a rule, and no more. Values.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconciler/verify/system.hpp"

namespace safe::verify {

struct FirewallRule {
    std::string comment = {};  // empty: it has none
    bool accepts = false;
    bool drops = false;
    bool conditional = false;             // it matches on something before its verdict
    std::string target = {};              // of a jump or goto
    std::set<std::string> mentions = {};  // interfaces, addresses and MACs that it matches
};

struct FirewallChain {
    std::string hook = {};  // empty: it is only jumped to
    std::vector<FirewallRule> rules = {};
};

struct FirewallTable {
    bool flagged = false;  // dormant, say: nothing of it is in effect
    std::map<std::string, FirewallChain> chains = {};
};

/// The command that lists a chain, for people to repeat.
[[nodiscard]] std::vector<std::string> listing_of(const std::string& table, const std::string& chain);

/// The table of family bridge; nullopt when there is none of that name.
[[nodiscard]] Seen<FirewallTable> read_firewall(const System& system, const std::string& table);

}  // namespace safe::verify
