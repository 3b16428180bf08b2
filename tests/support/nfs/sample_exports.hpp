// A safe with a volume that two VMs mount, a read-only one that one of them mounts, and a vault; built by hand.
#pragma once

#include "tests/support/filesystem/sample_volumes.hpp"

namespace safe::test {

inline specs::VmMount sample_mount(std::string path, std::string volume) {
    return {.path = {std::move(path)}, .volume = {std::move(volume)}};
}

inline specs::SafeSpec sample_exports() {
    specs::SafeSpec spec = sample_volumes();
    specs::NetworkSpec network;
    network.bridge = {"br-atlas"};
    network.address = {specs::parse_interface_address("10.77.0.1/24").value()};
    spec.network = network;
    const auto add = [&](const char* name, const char* address, std::vector<specs::VmMount> mounts) {
        specs::VmSpec vm;
        vm.name = name;
        vm.role = {specs::Role::workspace};
        vm.address = {specs::parse_ipv4(address).value()};
        vm.mounts = std::move(mounts);
        spec.vms.push_back(std::move(vm));
    };
    add("desktop", "10.77.0.20", {sample_mount("/data", "data"), sample_mount("/reference", "reference")});
    add("forge", "10.77.0.21", {sample_mount("/data", "data")});
    add("probe", "10.77.0.22", {});
    return spec;
}

}  // namespace safe::test
