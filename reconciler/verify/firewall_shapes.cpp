#include "reconciler/verify/firewall_shapes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "specs/identity.hpp"

namespace safe::verify {
namespace {

using specs::Service;
using specs::VmSpec;

constexpr Service nfs{Service::Protocol::tcp, 2049, 2049};         // RFC 7530
constexpr Service syslog_tls{Service::Protocol::tcp, 6514, 6514};  // RFC 5425
constexpr std::uint16_t ldaps_port = 636;                          // IANA
constexpr std::uint16_t ldap_port = 389;                           // RFC 4511

/// Empty for a VM that has none, which has no part in the firewall.
std::string address_of(const VmSpec& vm) { return vm.address ? to_text(vm.address->value) : std::string(); }

bool sleeps(const VmSpec& vm) { return *vm.role == specs::Role::workspace; }

std::string text_of(const specs::Cidr& addresses) {
    if (addresses.prefix == 0) return {};
    if (addresses.prefix == specs::Cidr::host) return to_text(addresses.address);
    return fmt::format("{}/{}", to_text(addresses.network()), addresses.prefix);
}

bool lies_in(const specs::Cidr& inner, const specs::Cidr& outer) {
    return inner.prefix >= outer.prefix && outer.contains(inner.network());
}

/// As the listing spells a set.
std::string one_of(std::string_view field, const std::set<std::string>& values) {
    return fmt::format("{} {}", field, fmt::join(values, ","));
}

std::string test_of(const Service& service, bool reply) {
    if (service.protocol == Service::Protocol::icmp) return reply ? "icmp type echo-reply" : "icmp type echo-request";
    const std::string ports = service.first_port == service.last_port
                                  ? std::to_string(service.first_port)
                                  : fmt::format("{}-{}", service.first_port, service.last_port);
    return fmt::format("{} {} {}", service.protocol == Service::Protocol::tcp ? "tcp" : "udp",
                       reply ? "sport" : "dport", ports);
}

}  // namespace

FirewallShapes::FirewallShapes(const specs::SafeSpec& spec) : spec_(spec) {
    if (!spec.network) return;
    net_ = &*spec.network;
    const std::string& bridge = *spec.network->bridge;
    const std::string server = to_text(spec.network->address->address);
    add("base", "implied/arp", {one_of("arp operation", {"reply", "request"})});
    add("input", "implied/dhcp-requests",
        {"meta ibrname " + bridge, "udp sport 68", "udp dport 67",
         one_of("ether daddr", {specs::mac_of(*spec.safe, ""), "ff:ff:ff:ff:ff:ff"}),
         one_of("ip daddr", {server, "255.255.255.255"})});
    add("output", "implied/dhcp-answers",
        {"meta obrname " + bridge, "ip saddr " + server, "udp sport 67", "udp dport 68"});
    for (const VmSpec& vm : spec.vms) {
        if (!vm.address) continue;
        add_source(vm);
        if (!vm.mounts.empty()) add_connection("storage", "implied/nfs/" + vm.name, end_of(vm), hypervisor(), {nfs});
    }
    add_directory();
    add_logs();
    for (const specs::RuleSpec& rule : spec.firewall) add_declared(rule);
    if (const std::optional<End> users = end_of_zone(net_->users))
        cut_off_ = {{"iifname " + users->tap, "ip saddr " + users->address},
                    {"oifname " + users->tap, "ip daddr " + users->address}};
}

bool FirewallShapes::allow(std::string_view chain, const FirewallRule& rule) const {
    if (!rule.accepts || rule.other || !rule.target.empty()) return false;
    const auto any = [&](const std::string& name) {
        const auto found = shapes_.find({std::string(chain), name});
        return found != shapes_.end() && std::ranges::any_of(found->second, [&](const Tests& tests) {
                   return std::ranges::includes(rule.tests, tests);
               });
    };
    return any(rule.comment) || any(declared_name(rule));
}

std::set<std::string> FirewallShapes::declared(std::string_view chain) const {
    const auto found = declared_.find(chain);
    return found != declared_.end() ? found->second : std::set<std::string>();
}

// --- the ends of connections

FirewallShapes::End FirewallShapes::hypervisor() const {
    return {.mac = specs::mac_of(*spec_.safe, ""), .address = to_text(net_->address->address)};
}

FirewallShapes::End FirewallShapes::end_of(const VmSpec& vm) const {
    return {.tap = specs::tap_of(*spec_.safe, vm.name), .address = address_of(vm), .sleeps = sleeps(vm)};
}

/// Behind the gateway's port; nullopt without one, or without such a zone.
std::optional<FirewallShapes::End> FirewallShapes::end_of_zone(
    const std::optional<specs::Located<specs::Cidr>>& zone) const {
    const auto& gateway = net_->gateway;
    if (!zone || !gateway) return std::nullopt;
    return End{.tap = specs::tap_of(*spec_.safe, gateway->value), .address = text_of(zone->value)};
}

/// An address or a network may lie in several places: with VMs, behind the gateway, on the hypervisor's side.
std::vector<FirewallShapes::End> FirewallShapes::ends_in(const specs::Cidr& addresses) const {
    std::vector<End> ends;
    for (const VmSpec& vm : spec_.vms)
        if (vm.address && addresses.contains(**vm.address)) ends.push_back(end_of(vm));
    // Of the safe's own network and of zones, nothing but the hypervisor itself is on its side.
    bool all_known = lies_in(addresses, *net_->address);
    for (const auto& zone : {net_->users, net_->super_users}) {
        std::optional<End> end = end_of_zone(zone);
        if (!zone || !end || !zone->value.overlaps(addresses)) continue;
        const bool whole = lies_in(addresses, zone->value);
        all_known = all_known || whole;
        if (whole) end->address = text_of(addresses);
        ends.push_back(*std::move(end));
    }
    if (!all_known)
        ends.push_back({.mac = specs::mac_of(*spec_.safe, ""), .address = text_of(addresses)});
    else if (addresses.contains(net_->address->address))
        ends.push_back(hypervisor());
    return ends;
}

std::vector<FirewallShapes::End> FirewallShapes::ends_of(std::string_view word) const {
    const auto endpoint = specs::resolve_endpoint(spec_, word);
    if (!endpoint) return {};
    switch (endpoint->kind) {
        case specs::Endpoint::Kind::vm:
            return endpoint->vm->address ? std::vector{end_of(*endpoint->vm)} : std::vector<End>();
        case specs::Endpoint::Kind::address:
            return ends_in(endpoint->addresses);
        case specs::Endpoint::Kind::users:
        case specs::Endpoint::Kind::super_users:
            break;
    }
    const bool users = endpoint->kind == specs::Endpoint::Kind::users;
    const std::optional<End> end = end_of_zone(users ? net_->users : net_->super_users);
    return end ? std::vector{*end} : std::vector<End>();
}

// --- what there is

void FirewallShapes::add(std::string_view chain, std::string name, Tests tests) {
    shapes_[{std::string(chain), std::move(name)}].push_back(std::move(tests));
}

void FirewallShapes::add_connection(std::string_view chain, const std::string& name, const End& from, const End& to,
                                    const std::vector<Service>& services) {
    const auto between = [](const End& sender, const End& receiver, bool any_sender, Tests tests) {
        const auto test = [&](std::string_view field, const std::string& value) {
            if (!value.empty()) tests.insert(fmt::format("{} {}", field, value));
        };
        test("iifname", sender.tap);
        test("oifname", receiver.tap);
        test("ether saddr", sender.mac);
        test("ether daddr", receiver.mac);
        if (!any_sender) test("ip saddr", sender.address);
        test("ip daddr", receiver.address);
        return tests;
    };
    for (const Service& service : services) {
        add(chain, name,
            between(from, to, false, {test_of(service, false), "ct direction original", "ct state established,new"}));
        add(chain, name,
            between(to, from, false, {test_of(service, true), "ct direction reply", "ct state established"}));
    }
    // Errors about a connection come from any router on the way.
    add(chain, name, between(from, to, true, {"ip protocol icmp", "ct state related"}));
    add(chain, name, between(to, from, true, {"ip protocol icmp", "ct state related"}));
}

void FirewallShapes::add_source(const VmSpec& vm) {
    const std::string mac = specs::mac_of(*spec_.safe, vm.name);
    const std::string address = address_of(vm);
    const auto from_port = [&](std::string_view part, Tests tests) {
        tests.insert("iifname " + specs::tap_of(*spec_.safe, vm.name));
        tests.insert("ether saddr " + mac);
        add("sources", fmt::format("implied/source/{}: {}", vm.name, part), std::move(tests));
    };
    from_port("arp", {"arp htype 1", "arp ptype ip", "arp hlen 6", "arp plen 4", "arp saddr ether " + mac,
                      one_of("arp saddr ip", {"0.0.0.0", address})});
    from_port("ip", {"ip saddr " + address});
    from_port("dhcp", {"ip saddr 0.0.0.0", "ip daddr 255.255.255.255", "udp sport 68", "udp dport 67"});
    if (const auto& gateway = net_->gateway; !gateway || gateway->value != vm.name) return;
    const auto behind = [&](std::string_view part, const std::optional<specs::Located<specs::Cidr>>& zone) {
        if (!zone) return;
        const std::string addresses = text_of(zone->value);
        from_port(part, addresses.empty() ? Tests() : Tests{"ip saddr " + addresses});
    };
    behind("users", net_->users);
    behind("super-users", net_->super_users);
}

/// The directory of a spec that runs in one of its VMs: "ldaps://10.77.0.3:636/".
void FirewallShapes::add_directory() {
    if (!spec_.directory) return;
    std::string_view host = *spec_.directory->ldap;
    const std::size_t scheme = host.find("://");
    if (scheme == std::string_view::npos) return;
    std::uint16_t port = host.starts_with("ldaps") ? ldaps_port : ldap_port;
    host = host.substr(scheme + 3);
    host = host.substr(0, host.find('/'));
    const std::size_t colon = host.find(':');
    if (colon != std::string_view::npos) std::from_chars(host.data() + colon + 1, host.data() + host.size(), port);
    host = host.substr(0, colon);
    for (const VmSpec& server : spec_.vms) {
        if (!server.address || to_text(**server.address) != host) continue;
        const std::vector<Service> ldap{{Service::Protocol::tcp, port, port}};
        add_connection(sleeps(server) ? "open" : "base", "implied/directory/@hypervisor", hypervisor(), end_of(server),
                       ldap);
        for (const VmSpec& vm : spec_.vms)
            if (vm.address && &vm != &server)
                add_connection(sleeps(vm) || sleeps(server) ? "open" : "base", "implied/directory/" + vm.name,
                               end_of(vm), end_of(server), ldap);
    }
}

void FirewallShapes::add_logs() {
    const VmSpec* monitor = spec_.vm("monitor");
    if (monitor == nullptr || !monitor->address) return;
    for (const VmSpec& vm : spec_.vms)
        if (vm.address && &vm != monitor)
            add_connection(sleeps(vm) || sleeps(*monitor) ? "open" : "base", "implied/logs/" + vm.name, end_of(vm),
                           end_of(*monitor), {syslog_tls});
}

void FirewallShapes::add_declared(const specs::RuleSpec& rule) {
    const bool always = *rule.when == specs::When::always;
    const std::string chain = always ? "base" : std::string(to_text(*rule.when));
    std::vector<Service> services;
    for (const auto& service : rule.allow) services.push_back(service.value);
    // What crosses the bridge comes from another port than it goes to, or is the hypervisor's own. With VMs that sleep,
    // a rule for every mode holds while they do not.
    for (const End& from : ends_of(*rule.from))
        for (const End& to : ends_of(*rule.to)) {
            const bool asleep = from.sleeps || to.sleeps;
            if (from.tap == to.tap || (asleep && *rule.when == specs::When::locked)) continue;
            const std::string where = always && asleep ? "open" : chain;
            declared_[where].insert(rule.name);
            add_connection(where, rule.name, from, to, services);
        }
}

}  // namespace safe::verify
