// A safe with a gateway, two workspace VMs and a service, built by hand: what the tests of the firewall start from.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "specs/spec.hpp"

namespace safe::test {

inline specs::Cidr network(std::string_view text) { return specs::parse_network(text).value(); }

inline specs::VmSpec sample_vm(std::string name, specs::Role role, std::string_view address) {
    specs::VmSpec vm;
    vm.name = std::move(name);
    vm.role = {role};
    vm.address = {specs::parse_ipv4(address).value()};
    return vm;
}

inline specs::RuleSpec sample_rule(std::string name, std::string from, std::string to,
                                   const std::vector<std::string>& services, specs::When when = specs::When::open) {
    specs::RuleSpec rule;
    rule.name = std::move(name);
    rule.at = {"atlas.yaml", 20, 3};
    rule.from = {std::move(from)};
    rule.to = {std::move(to)};
    for (const std::string& service : services) rule.allow.push_back({specs::parse_service(service).value()});
    rule.when = {when};
    return rule;
}

inline specs::SafeSpec sample_spec() {
    specs::SafeSpec spec;
    spec.safe = {"atlas"};
    specs::NetworkSpec net;
    net.bridge = {"br-atlas"};
    net.address = {specs::parse_interface_address("10.77.0.1/24").value()};
    net.gateway = specs::Located<std::string>{"gateway"};
    net.users = {network("10.78.0.0/24")};
    net.super_users = {network("10.78.1.0/24")};
    spec.network = net;
    spec.vms = {sample_vm("gateway", specs::Role::service, "10.77.0.2"),
                sample_vm("records", specs::Role::service, "10.77.0.4"),
                sample_vm("desktop", specs::Role::workspace, "10.77.0.20"),
                sample_vm("forge", specs::Role::workspace, "10.77.0.21")};
    spec.firewall = {sample_rule("users-to-desktop", "users", "desktop", {"tcp/3389", "tcp/22"}),
                     sample_rule("users-to-forge", "users", "forge", {"tcp/443", "udp/5000-5010", "icmp"}),
                     sample_rule("investigate", "super-users", "records", {"tcp/22"}, specs::When::always),
                     sample_rule("updates", "forge", "192.0.2.80", {"tcp/3128"}),
                     sample_rule("forensics", "super-users", "records", {"tcp/2222"}, specs::When::locked)};
    return spec;
}

/// Volumes, of which both workspace VMs mount one and nobody the other.
inline void add_mounts(specs::SafeSpec& spec) {
    for (const char* name : {"data", "unused"}) {
        specs::VolumeSpec volume;
        volume.name = name;
        volume.role = {specs::VolumeRole::data};
        spec.volumes.push_back(volume);
    }
    for (specs::VmSpec& vm : spec.vms)
        if (*vm.role == specs::Role::workspace) vm.mounts = {{.path = {"/data"}, .volume = {"data"}}};
}

/// A directory and a monitor among the VMs.
inline void add_services(specs::SafeSpec& spec) {
    spec.vms.push_back(sample_vm("accounts", specs::Role::service, "10.77.0.3"));
    spec.vms.push_back(sample_vm("monitor", specs::Role::service, "10.77.0.5"));
    spec.directory = specs::DirectorySpec{};
    spec.directory->ldap = {"ldaps://10.77.0.3"};
}

}  // namespace safe::test
