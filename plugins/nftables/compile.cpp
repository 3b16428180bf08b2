#include "plugins/nftables/compile.hpp"

#include <fmt/format.h>

#include "plugins/nftables/connection_rules.hpp"
#include "plugins/nftables/declared_rules.hpp"
#include "plugins/nftables/implied_rules.hpp"
#include "plugins/nftables/rule_text.hpp"
#include "specs/identity.hpp"

namespace safe::nftables {
namespace {

using specs::NetworkSpec;
using specs::SafeSpec;
using specs::VmSpec;

constexpr std::string_view sources_chain = "sources";
// RFC 826 for Ethernet and IPv4; other lengths would put the sender where these rules do not look.
constexpr std::uint32_t arp_ethernet = 1;
constexpr std::uint32_t mac_length = 6;
constexpr std::uint32_t ipv4_length = 4;
// RFC 2131
constexpr std::uint32_t dhcp_client = 68;
constexpr std::uint32_t dhcp_server = 67;
constexpr std::string_view any_address = "0.0.0.0";
constexpr std::string_view broadcast_address = "255.255.255.255";
constexpr std::string_view broadcast_mac = "ff:ff:ff:ff:ff:ff";
// NF_BR_PRI_NAT_DST_BRIDGED of linux/netfilter_bridge.h: before connection tracking, which comes at -200.
constexpr std::int64_t before_tracking = -300;
constexpr std::int64_t filtering = 0;

Rule rule(std::string name, const Body& body) { return {std::move(name), to_rule_text(body.json())}; }

/// What a VM may send, recognised by the port it comes from.
void add_sources_of(const SafeSpec& spec, const NetworkSpec& net, const VmSpec& vm, specs::Ipv4 own,
                    std::vector<Rule>& rules) {
    const std::string tap = specs::tap_of(*spec.safe, vm.name);
    const std::string mac = specs::mac_of(*spec.safe, vm.name);
    const std::string address = to_text(own);
    const auto from_port = [&] { return Body().is("iifname", tap).is("ether saddr", mac); };
    const auto add = [&](std::string_view part, const Body& body) {
        rules.push_back(rule(fmt::format("implied/source/{}: {}", vm.name, part), body));
    };
    // 0.0.0.0 is the sender of a probe for an address that is not in use yet (RFC 5227).
    add("arp", from_port()
                   .is("arp htype", arp_ethernet)
                   .is("arp ptype", "ip")
                   .is("arp hlen", mac_length)
                   .is("arp plen", ipv4_length)
                   .is("arp saddr ether", mac)
                   .one_of("arp saddr ip", {any_address, address})
                   .then("accept"));
    add("ip", from_port().is("ip saddr", address).then("accept"));
    add("dhcp", from_port()
                    .is("ip saddr", any_address)
                    .is("ip daddr", broadcast_address)
                    .is("udp sport", dhcp_client)
                    .is("udp dport", dhcp_server)
                    .then("accept"));
    if (!net.gateway || net.gateway->value != vm.name) return;
    if (net.users) add("users", from_port().is("ip saddr", address_value(**net.users)).then("accept"));
    if (net.super_users)
        add("super-users", from_port().is("ip saddr", address_value(**net.super_users)).then("accept"));
}

Chain sources(const SafeSpec& spec, const NetworkSpec& net) {
    Chain chain{std::string(sources_chain)};
    std::vector<Rule>& rules = chain.rules;
    rules.push_back(rule("implied/no-vlan", Body().one_of("ether type", {"8021ad", "8021q"}).then("drop")));
    rules.push_back(rule("implied/no-ipv6", Body().is("ether type", "ip6").then("drop")));
    rules.push_back(
        rule("implied/no-dhcp-server", Body().is("udp sport", dhcp_server).is("udp dport", dhcp_client).then("drop")));
    rules.push_back(rule("implied/no-redirects", Body().is("icmp type", "redirect").then("drop")));
    for (const VmSpec& vm : spec.vms)
        if (vm.address) add_sources_of(spec, net, vm, **vm.address, rules);
    rules.push_back(rule("implied/no-other-sources", Body().then("drop")));
    return chain;
}

/// The ports of the VMs: they stay what they are when the bridge gets another name or a port is moved to another
/// bridge.
std::vector<Json> ports(const SafeSpec& spec) {
    std::vector<Json> names;
    for (const VmSpec& vm : spec.vms)
        if (vm.address) names.emplace_back(specs::tap_of(*spec.safe, vm.name));
    return names;
}

/// 01:80:c2:00:00:0X (IEEE 802.1D table 7-10): what is sent there enters the input hook without having passed
/// prerouting, and the bridge learns its sender afterwards.
Rule no_link_local(const Body& entering) {
    std::vector<Json> addresses;
    addresses.reserve(16);
    for (unsigned i = 0; i < 16; ++i) addresses.emplace_back(fmt::format("01:80:c2:00:00:{:02x}", i));
    return rule("implied/no-link-local", Body(entering).one_of("ether daddr", addresses).then("drop"));
}

/// A chain with a hook: some rules that only make sense there, then everything of the bridge goes to `target`.
Chain hooked(std::string_view hook, std::int64_t priority, std::vector<Rule> first, const Body& of_bridge,
             const Body& of_ports, std::string_view target) {
    Chain chain{std::string(hook), Hook{"filter", std::string(hook), priority, "accept"}, std::move(first)};
    chain.rules.push_back(rule(fmt::format("implied/{}", hook), Body(of_bridge).enter("goto", target)));
    if (!of_ports.json().empty())
        chain.rules.push_back(rule(fmt::format("implied/{}-ports", hook), Body(of_ports).enter("goto", target)));
    return chain;
}

std::vector<Chain> hooks(const SafeSpec& spec, const NetworkSpec& net) {
    const Body entering = Body().is("meta ibrname", *net.bridge);
    const Body leaving = Body().is("meta obrname", *net.bridge);
    const std::vector<Json> taps = ports(spec);
    const Body from_ports = taps.empty() ? Body() : Body().one_of("iifname", taps);
    const Body to_ports = taps.empty() ? Body() : Body().one_of("oifname", taps);
    const std::string server = to_text(net.address->address);
    // DHCP is let through here and not in `base`: a broadcast is forwarded to the other VMs too, where it must end.
    const Rule request =
        rule("implied/dhcp-requests", Body(entering)
                                          .one_of("ether daddr", {specs::mac_of(*spec.safe, ""), broadcast_mac})
                                          .one_of("ip daddr", {server, broadcast_address})
                                          .is("udp sport", dhcp_client)
                                          .is("udp dport", dhcp_server)
                                          .then("accept"));
    const Rule answer = rule(
        "implied/dhcp-answers",
        Body(leaving).is("ip saddr", server).is("udp sport", dhcp_server).is("udp dport", dhcp_client).then("accept"));
    return {hooked("prerouting", before_tracking, {}, entering, from_ports, sources_chain),
            hooked("forward", filtering, {}, entering, from_ports, base_chain),
            hooked("input", filtering, {no_link_local(entering), request}, entering, from_ports, base_chain),
            hooked("output", filtering, {answer}, leaving, to_ports, base_chain)};
}

/// The first rule of a mode's chain counts what comes by, and so makes an empty set of rules another thing than none.
Chain mode_chain(std::string_view name) {
    Chain chain{std::string(name)};
    chain.rules.push_back(rule(fmt::format("implied/{}", name), Body().count()));
    return chain;
}

/// Locking cuts people off whatever a rule for every mode allows them; only super-users stay.
void cut_users_off(const SafeSpec& spec, const NetworkSpec& net, Chain& locked) {
    if (!net.users || !net.gateway) return;
    const std::string tap = specs::tap_of(*spec.safe, net.gateway->value);
    const Json users = address_value(**net.users);
    locked.rules.push_back(
        rule("implied/locked-from-users", Body().is("iifname", tap).is("ip saddr", users).then("drop")));
    locked.rules.push_back(
        rule("implied/locked-to-users", Body().is("oifname", tap).is("ip daddr", users).then("drop")));
}

std::string meaning(const specs::RuleSpec& rule) {
    std::string services;
    for (const auto& [service, at] : rule.allow) services += (services.empty() ? "" : ", ") + to_text(service);
    return fmt::format("{} to {}: {}", *rule.from, *rule.to, services);
}

}  // namespace

Firewall compile(const SafeSpec& spec, const NetworkSpec& network) {
    Firewall firewall{hooks(spec, network), mode_chain(storage_chain), mode_chain(open_chain),
                      mode_chain(locked_chain)};
    cut_users_off(spec, network, firewall.locked);
    for (const VmSpec& vm : spec.vms)
        if (vm.address)
            firewall.labels[fmt::format("implied/source/{}", vm.name)] =
                fmt::format("{} sends from its own port, MAC and address {} only", vm.name, to_text(**vm.address));
    Chain judge{std::string(base_chain)};
    judge.rules.push_back(rule("implied/arp", Body().one_of("arp operation", {"reply", "request"}).then("accept")));
    judge.rules.push_back(rule("implied/invalid", Body().any_of("ct state", {"invalid"}).then("drop")));
    // Before the rules for every mode, because what a mode forbids it forbids them too.
    for (const std::string_view mode : mode_chains)
        judge.rules.push_back(rule(fmt::format("implied/{}", mode), Body().enter("jump", mode)));
    const auto imply = [&](std::vector<ImpliedRule> rules, Chain& always, Chain& open) {
        for (ImpliedRule& one : rules) {
            firewall.labels[one.rules.front().name.substr(0, one.rules.front().name.find(": "))] = one.label;
            std::ranges::move(one.rules, std::back_inserter((one.only_open ? open : always).rules));
        }
    };
    imply(nfs_rules(spec, network), firewall.storage, firewall.storage);
    imply(directory_rules(spec, network), judge, firewall.open);
    imply(log_rules(spec), judge, firewall.open);
    for (const specs::RuleSpec& declared : spec.firewall) {
        auto rules = declared_rules(spec, network, declared);
        if (!rules) {
            firewall.refusals.push_back({rules.error().object, rules.error()});
            continue;
        }
        Chain& chain = *declared.when == specs::When::always ? judge
                       : *declared.when == specs::When::open ? firewall.open
                                                             : firewall.locked;
        if (rules->rules.empty() && rules->while_open.empty())
            firewall.notes.push_back(
                fmt::format("firewall.{} ({}) allows nothing: traffic from {} to {} never crosses the safe's bridge",
                            declared.name, to_text(declared.at), *declared.from, *declared.to));
        std::ranges::move(rules->rules, std::back_inserter(chain.rules));
        std::ranges::move(rules->while_open, std::back_inserter(firewall.open.rules));
        firewall.labels[declared.name] = meaning(declared);
    }
    judge.rules.push_back(rule("implied/default-drop", Body().then("drop")));

    firewall.base.push_back(sources(spec, network));
    firewall.base.push_back(std::move(judge));
    firewall.base.push_back({std::string(mark_chain)});
    for (const std::string_view name : mode_chains) firewall.base.push_back({std::string(name)});
    return firewall;
}

}  // namespace safe::nftables
