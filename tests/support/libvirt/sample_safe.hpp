// A spec for tests that need no file: one service VM on an image, one workspace VM on a kernel, a network.
#pragma once

#include "specs/spec.hpp"

namespace safe::test {

inline specs::SafeSpec sample_safe() {
    using specs::Located;
    const auto mebibytes = [](std::uint64_t count) { return specs::ByteSize{count << 20}; };
    const auto address = [](std::uint8_t last) { return specs::Ipv4{0x0A4D0000U | last}; };
    const auto file = [](const std::string& name) { return specs::FilePath{name, "/srv/t/" + name}; };
    specs::SafeSpec spec;
    spec.safe.value = "t";
    spec.hypervisor.value = "test:///default";
    spec.suspend = Located{specs::Suspend::ram};
    spec.network = specs::NetworkSpec{};
    spec.network->bridge.value = "br-t";
    spec.network->address.value = {address(1), 24};
    specs::VmSpec gate;
    gate.name = "gate";
    gate.role.value = specs::Role::service;
    gate.image = Located{file("images/gate.qcow2")};
    gate.memory.value = mebibytes(64);
    gate.memory_max.value = mebibytes(128);
    gate.cpus.value = 1;
    gate.cpus_max.value = 2;
    gate.address = Located{address(2)};
    specs::VmSpec desk;
    desk.name = "desk";
    desk.role.value = specs::Role::workspace;
    desk.boot = specs::BootSpec{};
    desk.boot->kernel.value = file("kernel");
    desk.boot->initrd = Located{file("initrd")};
    desk.boot->cmdline.value = "quiet";
    desk.memory.value = mebibytes(64);
    desk.memory_max.value = mebibytes(64);
    desk.cpus.value = 1;
    desk.cpus_max.value = 1;
    desk.address = Located{address(20)};
    spec.vms = {gate, desk};
    return spec;
}

}  // namespace safe::test
