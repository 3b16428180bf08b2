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
    bool other = false;                   // it does something that is none of these: returns, queues, rewrites
    bool conditional = false;             // it matches on something before its verdict
    bool comes_back = false;              // from its target
    std::string target = {};              // of a jump or goto
    std::set<std::string> mentions = {};  // interfaces, addresses and MACs that it matches
    std::set<std::string> tests = {};  // all that must be true of a frame: "tcp dport 22", "ip saddr 0.0.0.0,10.0.0.2"

    /// A frame may leave the chain by it otherwise than by being dropped.
    [[nodiscard]] bool passes() const { return accepts || other || !target.empty(); }
};

/// "users-to-desktop" of "users-to-desktop: tcp/22".
[[nodiscard]] std::string declared_name(const FirewallRule& rule);

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
