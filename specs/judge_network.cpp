// The safe's network: its addresses, the two zones behind the gateway, the uplink.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "specs/identity.hpp"
#include "specs/judgement.hpp"

namespace safe::specs {
namespace {

/// RFC 6890: this host, loopback, link-local; multicast and everything above it.
constexpr std::array<Cidr, 4> unusable{{{{0x00000000}, 8}, {{0x7F000000}, 8}, {{0xA9FE0000}, 16}, {{0xE0000000}, 3}}};

void judge_usable(Judgement& judgement, std::string_view key, const Located<Cidr>& range) {
    const auto* const bad = std::ranges::find_if(unusable, [&](const Cidr& cidr) { return cidr.overlaps(*range); });
    if (bad == unusable.end()) return;
    judgement.diagnostics.error(
        range.at,
        fmt::format("network.{}: {} overlaps {}, which no network may use", key, to_text(*range), to_text(*bad)),
        "use a private network, such as 10.77.0.0/24");
}

void judge_address(Judgement& judgement, const Located<Cidr>& address) {
    constexpr int shortest = 8;
    constexpr int longest = 30;
    judge_usable(judgement, "address", address);
    if (address->prefix < shortest || address->prefix > longest) {
        judgement.diagnostics.error(
            address.at, fmt::format("network.address: a prefix length of {} is not from {} to {}", address->prefix,
                                    shortest, longest));
    } else if (address->address == address->network() || address->address == address->broadcast()) {
        const bool is_network = address->address == address->network();
        judgement.diagnostics.error(
            address.at,
            fmt::format("network.address: {} is the {}", to_text(address->address),
                        is_network ? "network's own address" : "network's broadcast address"),
            "give the hypervisor another, such as " + to_text(Cidr{{address->network().value + 1}, address->prefix}));
    }
}

void judge_zone(Judgement& judgement, const NetworkSpec& network, std::string_view key,
                const std::optional<Located<Cidr>>& zone) {
    if (!zone) return;
    judge_usable(judgement, key, *zone);
    const bool overlaps = judgement.is_sound("network.address") && (*zone)->overlaps(*network.address);
    if (overlaps) {
        judgement.diagnostics.error(
            zone->at, fmt::format("network.{}: {} overlaps the safe's own network {}", key, to_text(**zone),
                                  to_text(Cidr{network.address->network(), network.address->prefix})));
    }
    if (!network.gateway && judgement.is_sound("network.gateway")) {
        judgement.diagnostics.warning(zone->at, fmt::format("network.{}: no gateway forwards for these addresses", key),
                                      "name the VM that does in network.gateway");
    }
}

void judge_gateway(Judgement& judgement, const Located<std::string>& gateway) {
    const VmSpec* const vm = judgement.require_vm(gateway);
    if (vm == nullptr || !judgement.is_sound(*vm, "role") || vm->role.value == Role::service) return;
    judgement.diagnostics.error(gateway.at,
                                fmt::format("network.gateway: {} is a workspace VM, which does not run while the safe "
                                            "is closed",
                                            vm->name),
                                "the gateway is a service VM");
}

void judge_bridge(Judgement& judgement, const NetworkSpec& network) {
    const std::string& safe = *judgement.spec.safe;
    const bool is_tap = network.bridge->starts_with("sf") &&
                        std::ranges::any_of(judgement.spec.vms,
                                            [&](const VmSpec& vm) { return tap_of(safe, vm.name) == *network.bridge; });
    if (is_tap) {
        judgement.diagnostics.error(network.bridge.at,
                                    fmt::format("network.bridge: {} is the name of a VM's interface", *network.bridge));
    }
    if (network.uplink && judgement.is_sound("network.uplink.interface") &&
        *network.uplink->interface == *network.bridge) {
        judgement.diagnostics.error(
            network.uplink->interface.at,
            fmt::format("network.uplink.interface: {} is the safe's own bridge", *network.bridge),
            "name the interface towards the outside");
    }
}

void judge_uplink(Judgement& judgement, const Uplink& uplink) {
    std::vector<const Publish*> by_port;
    for (const Publish& publish : uplink.publish) {
        by_port.push_back(&publish);
        const VmSpec* const vm = judgement.require_vm(publish.vm);
        if (vm == nullptr || !judgement.is_sound(*vm, "role") || vm->role.value == Role::service) continue;
        judgement.diagnostics.error(publish.vm.at,
                                    fmt::format("network.uplink.publish: {} is a workspace VM, which nothing may reach "
                                                "while the safe is closed",
                                                vm->name),
                                    "publish a service VM's port");
    }
    std::ranges::sort(by_port, {}, [](const Publish* publish) { return *publish->service; });
    const Publish* widest = nullptr;  // of the same protocol, the one that reaches furthest so far
    for (const Publish* const publish : by_port) {
        const bool same_protocol = widest != nullptr && widest->service->protocol == publish->service->protocol;
        if (same_protocol && publish->service->first_port <= widest->service->last_port) {
            judgement.diagnostics.error(publish->service.at,
                                        fmt::format("network.uplink.publish: {} overlaps {}",
                                                    to_text(*publish->service), to_text(*widest->service)),
                                        "that is published at " + to_text(widest->service.at));
        }
        if (!same_protocol || publish->service->last_port > widest->service->last_port) widest = publish;
    }
}

}  // namespace

void judge_network(Judgement& judgement) {
    if (!judgement.spec.network) return;
    const NetworkSpec& network = *judgement.spec.network;
    if (judgement.is_sound("network.address")) judge_address(judgement, network.address);
    judge_zone(judgement, network, "users", network.users);
    judge_zone(judgement, network, "super-users", network.super_users);
    if (network.users && network.super_users && (*network.users)->overlaps(**network.super_users)) {
        judgement.diagnostics.error(network.super_users->at,
                                    "network.super-users: these addresses overlap those of users",
                                    "give each its own network");
    }
    if (network.gateway) judge_gateway(judgement, *network.gateway);
    if (judgement.is_sound("network.bridge") && judgement.is_sound("safe")) judge_bridge(judgement, network);
    if (network.uplink) judge_uplink(judgement, *network.uplink);
}

}  // namespace safe::specs
