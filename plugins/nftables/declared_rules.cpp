#include "plugins/nftables/declared_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plugins/nftables/rule_text.hpp"
#include "specs/identity.hpp"

namespace safe::nftables {
namespace {

using specs::Cidr;
using specs::Endpoint;
using specs::NetworkSpec;
using specs::SafeSpec;
using specs::Service;
using specs::VmSpec;

constexpr std::uint8_t host_prefix = 32;

/// Where addresses are, seen from the bridge: behind the port of a VM, or on and behind the hypervisor.
struct Place {
    std::string label;           // "desktop", "@users": VMs' names have no '@'
    const VmSpec* vm = nullptr;  // nullptr: the hypervisor's side
    Cidr addresses = {};
};

bool inside(const Cidr& inner, const Cidr& outer) {
    return inner.prefix >= outer.prefix && outer.contains(inner.network());
}

const VmSpec* gateway_of(const SafeSpec& spec, const NetworkSpec& net) {
    return net.gateway ? spec.vm(**net.gateway) : nullptr;
}

Cidr single(specs::Ipv4 address) { return {address, host_prefix}; }

/// An address or network of the file can lie anywhere: with VMs, behind the gateway, outside, or in several of these.
std::vector<Place> places_of_addresses(const SafeSpec& spec, const NetworkSpec& net, const Cidr& addresses) {
    const VmSpec* gateway = gateway_of(spec, net);
    std::vector<Place> places;
    for (const VmSpec& vm : spec.vms)
        if (vm.address && addresses.contains(**vm.address)) places.push_back({vm.name, &vm, single(**vm.address)});
    bool all_known = false;
    const auto add_zone = [&](std::string_view label, const std::optional<specs::Located<Cidr>>& zone) {
        if (!zone || !zone->value.overlaps(addresses) || gateway == nullptr) return;
        const bool whole = inside(addresses, **zone);
        places.push_back({std::string(label), gateway, whole ? addresses : **zone});
        all_known = all_known || whole;
    };
    add_zone("@users", net.users);
    add_zone("@super-users", net.super_users);
    const Cidr network{net.address->network(), net.address->prefix};
    if (inside(addresses, network)) {
        if (addresses.contains(net.address->address))
            places.push_back({"@hypervisor", nullptr, single(net.address->address)});
    } else if (!all_known) {
        places.push_back({"@outside", nullptr, addresses});
    }
    return places;
}

std::vector<Place> places_of(const SafeSpec& spec, const NetworkSpec& net, const Endpoint& endpoint) {
    switch (endpoint.kind) {
        case Endpoint::Kind::vm:
            return {{endpoint.vm->name, endpoint.vm, endpoint.addresses}};
        case Endpoint::Kind::users:
            return {{"@users", gateway_of(spec, net), endpoint.addresses}};
        case Endpoint::Kind::super_users:
            return {{"@super-users", gateway_of(spec, net), endpoint.addresses}};
        case Endpoint::Kind::address:
            return places_of_addresses(spec, net, endpoint.addresses);
    }
    return {};
}

/// Frames from one place to another. The hypervisor's side is known by its MAC address: what a VM sends there enters
/// the input hook, and only what leaves the output hook has it as sender, for the chain `sources` binds VMs to their
/// own.
Body between(const SafeSpec& spec, const Place& from, const Place& to, bool match_source) {
    Body body;
    if (from.vm != nullptr) body.is("iifname", specs::tap_of(*spec.safe, from.vm->name));
    if (to.vm != nullptr) body.is("oifname", specs::tap_of(*spec.safe, to.vm->name));
    if (from.vm == nullptr) body.is("ether saddr", specs::mac_of(*spec.safe, ""));
    if (to.vm == nullptr) body.is("ether daddr", specs::mac_of(*spec.safe, ""));
    if (match_source && from.addresses.prefix > 0) body.is("ip saddr", address_value(from.addresses));
    if (to.addresses.prefix > 0) body.is("ip daddr", address_value(to.addresses));
    return body;
}

std::string_view protocol_of(const Service& service) {
    return service.protocol == Service::Protocol::tcp ? "tcp" : "udp";
}

void match_service(Body& body, const Service& service, bool reply) {
    if (service.protocol == Service::Protocol::icmp) {
        body.is("icmp type", reply ? "echo-reply" : "echo-request");
        return;
    }
    body.is(fmt::format("{} {}", protocol_of(service), reply ? "sport" : "dport"),
            service.first_port == service.last_port ? Json(std::uint32_t{service.first_port})
                                                    : range(service.first_port, service.last_port));
}

class Declared {
 public:
    Declared(const SafeSpec& spec, const specs::RuleSpec& rule) : spec_(spec), rule_(rule) {}

    /// `suffix` tells the pairs of a rule between several places apart.
    void pair(const Place& from, const Place& to, const std::string& suffix) {
        std::vector<Service> done;
        for (const auto& [service, at] : rule_.allow) {
            if (std::ranges::find(done, service) != done.end()) continue;
            done.push_back(service);
            Body opening = between(spec_, from, to, true);
            match_service(opening, service, false);
            opening.is("ct direction", "original").any_of("ct state", {"established", "new"});
            add(to_text(service) + suffix, opening);
            Body replies = between(spec_, to, from, true);
            match_service(replies, service, true);
            replies.is("ct direction", "reply").any_of("ct state", {"established"});
            add(to_text(service) + " replies" + suffix, replies);
        }
        // Of an error about a connection, any router on the way may be the sender: the gateway, when its tunnel is
        // narrower.
        add("errors" + suffix,
            between(spec_, from, to, false).is("ip protocol", "icmp").any_of("ct state", {"related"}));
        add("errors back" + suffix,
            between(spec_, to, from, false).is("ip protocol", "icmp").any_of("ct state", {"related"}));
    }

    std::vector<Rule> take() { return std::move(rules_); }

 private:
    void add(const std::string& part, Body body) {
        rules_.push_back({rule_.name + ": " + part, to_rule_text(body.then("accept").json())});
    }

    const SafeSpec& spec_;
    const specs::RuleSpec& rule_;
    std::vector<Rule> rules_;
};

/// A workspace VM that a range of addresses happens to hold is reached while the safe is open, and never otherwise.
bool asleep(const specs::RuleSpec& rule, const Place& place) {
    return place.vm != nullptr && *place.vm->role == specs::Role::workspace && *rule.when != specs::When::open;
}

base::Error refusal(const specs::RuleSpec& rule, std::string cause, std::string advice) {
    return {"allow", fmt::format("firewall.{} ({})", rule.name, to_text(rule.at)), std::move(cause), std::move(advice),
            base::Error::Kind::refused};
}

}  // namespace

base::Result<std::vector<Rule>> declared_rules(const SafeSpec& spec, const NetworkSpec& net,
                                               const specs::RuleSpec& rule) {
    std::vector<std::vector<Place>> ends;
    for (const auto* word : {&rule.from, &rule.to}) {
        const auto endpoint = specs::resolve_endpoint(spec, **word);
        if (!endpoint)
            return base::fail(
                refusal(rule, fmt::format("no VM, zone or address is called {}", **word), "correct the name"));
        if (endpoint->vm != nullptr && !endpoint->vm->address)
            return base::fail(refusal(rule, fmt::format("{} has no address", **word), "give the VM an address"));
        ends.push_back(places_of(spec, net, *endpoint));
        // A zone is behind the gateway's port; without a gateway it is nowhere, and must not become the outside.
        const bool zone = endpoint->kind == Endpoint::Kind::users || endpoint->kind == Endpoint::Kind::super_users;
        if (zone && gateway_of(spec, net) == nullptr)
            return base::fail(refusal(rule, fmt::format("{} are behind a gateway, and there is none", **word),
                                      "name a VM in network.gateway"));
    }
    std::vector<std::pair<const Place*, const Place*>> pairs;
    for (const Place& from : ends[0])
        for (const Place& to : ends[1])
            if (from.vm != to.vm && !asleep(rule, from) && !asleep(rule, to)) pairs.emplace_back(&from, &to);
    if (pairs.empty())
        return base::fail(refusal(rule,
                                  fmt::format("traffic from {} to {} never crosses the safe's bridge, so its firewall "
                                              "cannot judge it",
                                              *rule.from, *rule.to),
                                  "remove the rule"));
    Declared declared(spec, rule);
    for (const auto& [from, to] : pairs)
        declared.pair(*from, *to, pairs.size() == 1 ? "" : fmt::format(", {} to {}", from->label, to->label));
    return declared.take();
}

Json address_value(const Cidr& addresses) {
    if (addresses.prefix == host_prefix) return to_text(addresses.address);
    return network(to_text(addresses.network()), addresses.prefix);
}

}  // namespace safe::nftables
