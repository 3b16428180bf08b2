// The VMs: what each is made of, its sizes, its address, and the names that the world gives it.
#include <fmt/format.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "specs/identity.hpp"
#include "specs/judgement.hpp"

namespace safe::specs {
namespace {

void judge_name(Judgement& judgement, const VmSpec& vm) {
    if (!is_zone(vm.name)) return;
    judgement.diagnostics.error(vm.at, fmt::format("a VM cannot be called {}, the name of a zone", vm.name),
                                "give it another name");
}

void judge_source(Judgement& judgement, const VmSpec& vm) {
    const bool has_image = vm.image.has_value() || !judgement.is_sound(vm, "image");
    const bool has_boot = vm.boot.has_value();
    if (has_image && has_boot) {
        judgement.diagnostics.error(vm.boot->at, fmt::format("{} has both an image and a kernel to boot", vm.name),
                                    "give one of image and boot");
    } else if (!has_image && !has_boot) {
        judgement.diagnostics.error(vm.at, fmt::format("{} has neither an image nor a kernel to boot", vm.name),
                                    "give one of image and boot");
    }
    if (has_image) return;
    const auto without_image = [&](const Position& at, std::string_view key) {
        judgement.diagnostics.error(at, fmt::format("{} has {} but no image", vm.name, key),
                                    "it is part of what an image is given");
    };
    if (vm.sha256) without_image(vm.sha256->at, "sha256");
    if (vm.disk) without_image(vm.disk->at, "disk");
    if (vm.cloud_init) without_image(vm.cloud_init->at, "cloud-init");
}

void judge_sizes(Judgement& judgement, const VmSpec& vm) {
    const bool memory_is_sound = judgement.is_sound(vm, "memory") && judgement.is_sound(vm, "memory-max");
    if (memory_is_sound && *vm.memory_max < *vm.memory) {
        judgement.diagnostics.error(vm.memory_max.at, fmt::format("{}: memory-max {} is less than memory {}", vm.name,
                                                                  to_text(*vm.memory_max), to_text(*vm.memory)));
    }
    const bool cpus_are_sound = judgement.is_sound(vm, "cpus") && judgement.is_sound(vm, "cpus-max");
    if (cpus_are_sound && *vm.cpus_max < *vm.cpus) {
        judgement.diagnostics.error(
            vm.cpus_max.at, fmt::format("{}: cpus-max {} is less than cpus {}", vm.name, *vm.cpus_max, *vm.cpus));
    }
}

/// Why the VM cannot have an address of this network; "" when it can.
std::string address_fault(const Cidr& network, Ipv4 address) {
    if (!network.contains(address)) {
        return fmt::format("is not in the safe's network {}", to_text(Cidr{network.network(), network.prefix}));
    }
    if (address == network.address) return "is the hypervisor's own";
    if (address == network.network()) return "is the network's own address";
    if (address == network.broadcast()) return "is the network's broadcast address";
    return {};
}

struct Owner {
    std::string_view name;
    Position at;
};
using Owners = std::map<Ipv4, Owner>;

void judge_address(Judgement& judgement, const VmSpec& vm, Owners& owners) {
    const std::optional<NetworkSpec>& network = judgement.spec.network;
    if (!judgement.is_sound("network") || !judgement.is_sound(vm, "address")) return;
    if (!vm.address) {
        if (network) {
            judgement.diagnostics.error(vm.at, fmt::format("{} has no address on the safe's network", vm.name),
                                        "write address: and one that nobody else has");
        }
        return;
    }
    const Located<Ipv4>& address = *vm.address;
    if (!network) {
        judgement.diagnostics.error(address.at, fmt::format("{} has an address, but the safe has no network", vm.name),
                                    "write a network, or remove the address");
        return;
    }
    if (judgement.is_sound("network.address")) {
        const std::string fault = address_fault(*network->address, *address);
        if (!fault.empty()) {
            judgement.diagnostics.error(address.at,
                                        fmt::format("{}: the address {} {}", vm.name, to_text(*address), fault));
        }
    }
    const auto [owner, is_first] = owners.emplace(*address, Owner{vm.name, address.at});
    if (!is_first) {
        judgement.diagnostics.error(
            address.at,
            fmt::format("{}: the address {} is already {}'s", vm.name, to_text(*address), owner->second.name),
            "that is at " + to_text(owner->second.at));
    }
}

class Identities {
 public:
    /// An error when another VM, or the safe's own bridge, has the same name in the world.
    void add(Judgement& judgement, const std::string& identity, std::string_view what, const VmSpec& vm) {
        const auto [owner, is_first] = owners_.emplace(identity, vm.name);
        if (is_first) return;
        judgement.diagnostics.error(vm.at,
                                    fmt::format("{} and {} would have the same {}, {}", vm.name,
                                                owner->second.empty() ? "the bridge" : owner->second, what, identity),
                                    "rename one of them");
    }
    void add_bridge(std::string identity) { owners_.emplace(std::move(identity), ""); }

 private:
    std::map<std::string, std::string> owners_;
};

void judge_identities(Judgement& judgement) {
    if (!judgement.is_sound("safe")) return;
    const std::string& safe = *judgement.spec.safe;
    Identities identities;
    identities.add_bridge(mac_of(safe, ""));
    identities.add_bridge(uuid_of(safe, ""));
    for (const VmSpec& vm : judgement.spec.vms) {
        if (!judgement.is_sound("vms." + vm.name)) continue;
        identities.add(judgement, mac_of(safe, vm.name), "MAC address", vm);
        identities.add(judgement, uuid_of(safe, vm.name), "UUID", vm);
        identities.add(judgement, tap_of(safe, vm.name), "interface", vm);
    }
}

}  // namespace

void judge_vms(Judgement& judgement) {
    Owners owners;
    for (const VmSpec& vm : judgement.spec.vms) {
        if (!judgement.is_sound("vms." + vm.name)) continue;
        judge_name(judgement, vm);
        judge_source(judgement, vm);
        judge_sizes(judgement, vm);
        judge_address(judgement, vm, owners);
    }
    judge_identities(judgement);
}

}  // namespace safe::specs
