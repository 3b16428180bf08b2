// The one readable spelling of a rule's body, near nft's own: `iifname sf01 ip saddr 10.77.0.20 tcp dport 22 counter
// accept`. Desired and listed rules are both rendered by it from libnftables-json(5), so that equal text means equal
// rules, and it can be read back into JSON, so that attributes are all that an apply needs. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"

namespace safe::nftables {

/// Of an `expr` array. Sets are sorted, counters' values left out (their presence is kept); a statement that is no
/// plain match, counter or verdict is rendered as its compact JSON. Different rules have different text.
[[nodiscard]] std::string to_rule_text(const Json& expr);

/// The inverse, for the statements that Body can build; anything else is an error, never a guess.
[[nodiscard]] base::Result<Json> parse_rule_text(std::string_view text);

/// Builds an `expr` array the way nft lists it back. Fields are named as in rule text: "iifname", "ip saddr", "ct
/// state".
class Body {
 public:
    /// `value`: a number, a name, or what range, network and the like below return.
    Body& is(std::string_view field, Json value);
    /// Any of these bits, as for ct state.
    Body& any_of(std::string_view field, const std::vector<std::string>& names);
    /// One of several values: an anonymous set.
    Body& one_of(std::string_view field, const std::vector<Json>& values);
    /// Ends the rule: "accept", "drop", with a counter before it.
    Body& then(std::string_view verdict);
    /// Ends the rule: goes on in another chain, and ("jump") comes back or ("goto") does not.
    Body& enter(std::string_view how, std::string_view chain);
    Body& count();

    [[nodiscard]] const Json& json() const { return statements_; }

 private:
    Json statements_ = Json::array();
};

[[nodiscard]] Json range(std::uint32_t first, std::uint32_t last);
/// A network such as 10.78.0.0/24.
[[nodiscard]] Json network(std::string_view address, std::uint32_t prefix);

}  // namespace safe::nftables
