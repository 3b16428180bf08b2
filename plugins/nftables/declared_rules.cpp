#include "plugins/nftables/declared_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plugins/nftables/connection_rules.hpp"

namespace safe::nftables {
namespace {

using specs::Cidr;
using specs::Endpoint;
using specs::NetworkSpec;
using specs::SafeSpec;
using specs::VmSpec;

bool inside(const Cidr& inner, const Cidr& outer) {
    return inner.prefix >= outer.prefix && outer.contains(inner.network());
}

const VmSpec* gateway_of(const SafeSpec& spec, const NetworkSpec& net) {
    return net.gateway ? spec.vm(**net.gateway) : nullptr;
}

/// An address or network of the file can lie anywhere: with VMs, behind the gateway, outside, or in several of these.
std::vector<Place> places_of_addresses(const SafeSpec& spec, const NetworkSpec& net, const Cidr& addresses) {
    const VmSpec* gateway = gateway_of(spec, net);
    std::vector<Place> places;
    for (const VmSpec& vm : spec.vms)
        if (vm.address && addresses.contains(**vm.address)) places.push_back(place_of(vm));
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
        if (addresses.contains(net.address->address)) places.push_back(hypervisor_place(net));
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

base::Error refusal(const specs::RuleSpec& rule, std::string cause, std::string advice) {
    return {"allow", fmt::format("firewall.{} ({})", rule.name, to_text(rule.at)), std::move(cause), std::move(advice),
            base::Error::Kind::refused};
}

}  // namespace

base::Result<DeclaredRules> declared_rules(const SafeSpec& spec, const NetworkSpec& net, const specs::RuleSpec& rule) {
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
        for (const Place& to : ends[1]) {
            const bool never_runs = *rule.when == specs::When::locked && (sleeps(from) || sleeps(to));
            if (from.vm != to.vm && !never_runs) pairs.emplace_back(&from, &to);
        }
    std::vector<specs::Service> services;
    services.reserve(rule.allow.size());
    for (const auto& [service, at] : rule.allow) services.push_back(service);
    ConnectionRules declared(spec, rule.name);
    ConnectionRules while_open(spec, rule.name);
    for (const auto& [from, to] : pairs) {
        const bool only_open = *rule.when == specs::When::always && (sleeps(*from) || sleeps(*to));
        (only_open ? while_open : declared)
            .pair(*from, *to, services, pairs.size() == 1 ? "" : fmt::format(", {} to {}", from->label, to->label));
    }
    return DeclaredRules{declared.take(), while_open.take()};
}

}  // namespace safe::nftables
