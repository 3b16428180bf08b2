// What the safe's firewall lets through, worked out from the spec once more and without the driver's code: for the name
// of each accepting rule, what such a rule tests at least. A rule that tests less lets more through, whatever it is
// called.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reconciler/verify/firewall_listing.hpp"
#include "specs/spec.hpp"

namespace safe::verify {

class FirewallShapes {
 public:
    explicit FirewallShapes(const specs::SafeSpec& spec);

    using Tests = std::set<std::string>;

    /// Whether a rule may accept what it accepts in this chain.
    [[nodiscard]] bool allow(std::string_view chain, const FirewallRule& rule) const;

    /// What locking drops whole, so that no rule for every mode goes on serving users: what comes from them, what goes
    /// to them. Empty when there are none.
    [[nodiscard]] const std::vector<Tests>& cut_off() const { return cut_off_; }
    /// Names of the spec's rules that must have some in this chain: not of one whose traffic never crosses the bridge.
    [[nodiscard]] std::set<std::string> declared(std::string_view chain) const;

 private:
    /// What an end of a connection is known by on the bridge; empty: not known.
    struct End {
        std::string tap = {};
        std::string mac = {};
        std::string address = {};
        bool sleeps = false;  // a VM that runs in an open safe only
    };
    [[nodiscard]] End hypervisor() const;
    [[nodiscard]] End end_of(const specs::VmSpec& vm) const;
    [[nodiscard]] std::optional<End> end_of_zone(const std::optional<specs::Located<specs::Cidr>>& zone) const;
    [[nodiscard]] std::vector<End> ends_in(const specs::Cidr& addresses) const;
    [[nodiscard]] std::vector<End> ends_of(std::string_view word) const;

    void add(std::string_view chain, std::string name, Tests tests);
    void add_connection(std::string_view chain, const std::string& name, const End& from, const End& to,
                        const std::vector<specs::Service>& services);
    void add_source(const specs::VmSpec& vm);
    void add_directory();
    void add_logs();
    void add_declared(const specs::RuleSpec& rule);

    const specs::SafeSpec& spec_;
    const specs::NetworkSpec* net_ = nullptr;  // of the spec; without one there is no firewall
    std::map<std::pair<std::string, std::string>, std::vector<Tests>> shapes_;  // by chain and name
    std::vector<Tests> cut_off_;
    std::map<std::string, std::set<std::string>, std::less<>> declared_;  // by chain
};

}  // namespace safe::verify
