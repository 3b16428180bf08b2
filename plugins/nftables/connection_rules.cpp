#include "plugins/nftables/connection_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plugins/nftables/rule_text.hpp"
#include "specs/identity.hpp"

namespace safe::nftables {
namespace {

using specs::SafeSpec;
using specs::Service;

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

}  // namespace

Place place_of(const specs::VmSpec& vm) {
    return {vm.name, &vm, {vm.address ? **vm.address : specs::Ipv4{}, specs::Cidr::host}};
}

Place hypervisor_place(const specs::NetworkSpec& network) {
    return {"@hypervisor", nullptr, {network.address->address, specs::Cidr::host}};
}

bool sleeps(const Place& place) { return place.vm != nullptr && *place.vm->role == specs::Role::workspace; }

void ConnectionRules::pair(const Place& from, const Place& to, const std::vector<Service>& services,
                           const std::string& suffix) {
    const auto add = [&](const std::string& part, Body body) {
        rules_.push_back({name_ + ": " + part + suffix, to_rule_text(body.then("accept").json())});
    };
    std::vector<Service> done;
    for (const Service& service : services) {
        if (std::ranges::find(done, service) != done.end()) continue;
        done.push_back(service);
        Body opening = between(spec_, from, to, true);
        match_service(opening, service, false);
        add(to_text(service), opening.is("ct direction", "original").any_of("ct state", {"established", "new"}));
        Body replies = between(spec_, to, from, true);
        match_service(replies, service, true);
        add(to_text(service) + " replies", replies.is("ct direction", "reply").any_of("ct state", {"established"}));
    }
    // Of an error about a connection, any router on the way may be the sender: the gateway, when its tunnel is
    // narrower.
    add("errors", between(spec_, from, to, false).is("ip protocol", "icmp").any_of("ct state", {"related"}));
    add("errors back", between(spec_, to, from, false).is("ip protocol", "icmp").any_of("ct state", {"related"}));
}

Json address_value(const specs::Cidr& addresses) {
    if (addresses.prefix == specs::Cidr::host) return to_text(addresses.address);
    return network(to_text(addresses.network()), addresses.prefix);
}

}  // namespace safe::nftables
