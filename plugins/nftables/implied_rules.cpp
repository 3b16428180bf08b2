#include "plugins/nftables/implied_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "plugins/nftables/connection_rules.hpp"

namespace safe::nftables {
namespace {

using specs::NetworkSpec;
using specs::SafeSpec;
using specs::Service;
using specs::VmSpec;

constexpr std::uint16_t nfs_port = 2049;         // RFC 7530
constexpr std::uint16_t ldaps_port = 636;        // IANA
constexpr std::uint16_t ldap_port = 389;         // RFC 4511; StartTLS is insisted on
constexpr std::uint16_t syslog_tls_port = 6514;  // RFC 5425
constexpr std::string_view monitor_name = "monitor";

Service tcp(std::uint16_t port) { return {Service::Protocol::tcp, port, port}; }

ImpliedRule allow(const SafeSpec& spec, const std::string& name, std::string label, const Place& from, const Place& to,
                  std::uint16_t port) {
    ConnectionRules rules(spec, name);
    rules.pair(from, to, {tcp(port)});
    return {sleeps(from) || sleeps(to), std::move(label), rules.take()};
}

struct Server {
    specs::Ipv4 address;
    std::uint16_t port = 0;
};

/// Of "ldaps://10.77.0.3:636/". A name instead of an address is nobody's that we could know.
std::optional<Server> server_of(std::string_view url) {
    constexpr std::string_view tls = "ldaps://";
    constexpr std::string_view plain = "ldap://";
    const bool secured = url.starts_with(tls);
    if (!secured && !url.starts_with(plain)) return std::nullopt;
    std::string_view host = url.substr(secured ? tls.size() : plain.size());
    host = host.substr(0, host.find('/'));
    Server server{.address = {}, .port = secured ? ldaps_port : ldap_port};
    if (const auto colon = host.find(':'); colon != std::string_view::npos) {
        const std::string_view port = host.substr(colon + 1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
        if (error != std::errc() || end != port.data() + port.size() || server.port == 0) return std::nullopt;
        host = host.substr(0, colon);
    }
    const auto address = specs::parse_ipv4(host);
    if (!address) return std::nullopt;
    server.address = *address;
    return server;
}

bool is_gateway(const NetworkSpec& network, const VmSpec& vm) {
    return network.gateway && network.gateway->value == vm.name;
}

}  // namespace

std::vector<ImpliedRule> nfs_rules(const SafeSpec& spec, const NetworkSpec& network) {
    std::vector<ImpliedRule> rules;
    for (const VmSpec& vm : spec.vms)
        if (vm.address && !vm.mounts.empty())
            rules.push_back(allow(spec, "implied/nfs/" + vm.name,
                                  fmt::format("{} reaches NFS on the hypervisor: tcp/{}", vm.name, nfs_port),
                                  place_of(vm), hypervisor_place(network), nfs_port));
    return rules;
}

std::vector<ImpliedRule> directory_rules(const SafeSpec& spec, const NetworkSpec& network) {
    std::vector<ImpliedRule> rules;
    const auto server = spec.directory ? server_of(*spec.directory->ldap) : std::nullopt;
    if (!server) return rules;
    const auto found =
        std::ranges::find_if(spec.vms, [&](const VmSpec& vm) { return vm.address && **vm.address == server->address; });
    if (found == spec.vms.end()) return rules;
    const auto add = [&](const std::string& who, const std::string& name, const Place& from) {
        rules.push_back(allow(spec, "implied/directory/" + name,
                              fmt::format("{} reaches the directory on {}: tcp/{}", who, found->name, server->port),
                              from, place_of(*found), server->port));
    };
    add("the hypervisor", "@hypervisor", hypervisor_place(network));
    for (const VmSpec& vm : spec.vms)
        if (vm.address && vm.name != found->name && (is_gateway(network, vm) || *vm.role == specs::Role::workspace))
            add(vm.name, vm.name, place_of(vm));
    return rules;
}

std::vector<ImpliedRule> log_rules(const SafeSpec& spec) {
    std::vector<ImpliedRule> rules;
    const VmSpec* monitor = spec.vm(monitor_name);
    if (monitor == nullptr || !monitor->address) return rules;
    for (const VmSpec& vm : spec.vms)
        if (vm.address && vm.name != monitor->name)
            rules.push_back(
                allow(spec, "implied/logs/" + vm.name,
                      fmt::format("{} reaches the logs of {}: tcp/{}", vm.name, monitor->name, syslog_tls_port),
                      place_of(vm), place_of(*monitor), syslog_tls_port));
    return rules;
}

}  // namespace safe::nftables
