#include "specs/judgement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "specs/document.hpp"

namespace safe::specs {
namespace {

constexpr std::array<std::string_view, 2> zones{"users", "super-users"};

}  // namespace

bool is_zone(std::string_view word) { return std::ranges::find(zones, word) != zones.end(); }

Judgement::Judgement(const SafeSpec& judged, const Unsound& unsound, Diagnostics& diagnostics_to)
    : spec(judged), diagnostics(diagnostics_to), unsound_(unsound) {
    for (const VmSpec& vm : spec.vms) {
        by_name_.emplace(vm.name, &vm);
        vm_names_.emplace_back(vm.name);
        if (!vm.address) continue;
        by_address_.emplace(vm.address->value, &vm);
        const bool is_workspace = vm.role.value == Role::workspace && is_sound(vm, "role");
        if (is_workspace) workspaces_.emplace(vm.address->value, &vm);
    }
    for (const VolumeSpec& volume : spec.volumes) {
        volumes_.emplace(volume.name, &volume);
        volume_names_.emplace_back(volume.name);
    }
    endpoint_names_ = vm_names_;
    endpoint_names_.insert(endpoint_names_.end(), zones.begin(), zones.end());
}

bool Judgement::is_sound(const VmSpec& vm, std::string_view key) const {
    return is_sound(fmt::format("vms.{}.{}", vm.name, key));
}

bool Judgement::is_sound(const RuleSpec& rule, std::string_view key) const {
    return is_sound(fmt::format("firewall.{}.{}", rule.name, key));
}

bool Judgement::is_sound(const VolumeSpec& volume, std::string_view key) const {
    return is_sound(fmt::format("volumes.{}.{}", volume.name, key));
}

bool Judgement::is_sound(const UserSpec& user, std::string_view key) const {
    return is_sound(fmt::format("users.{}.{}", user.name, key));
}

const VmSpec* Judgement::vm(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
}

const VolumeSpec* Judgement::volume(std::string_view name) const {
    const auto found = volumes_.find(name);
    return found == volumes_.end() ? nullptr : found->second;
}

const VmSpec* Judgement::require_vm(const Located<std::string>& name) {
    const VmSpec* const found = vm(*name);
    if (found == nullptr && are_vms_known()) {
        diagnostics.error(name.at, "no VM is called " + *name, suggester_.suggest(*name, vm_names_));
    }
    return found;
}

const VolumeSpec* Judgement::require_volume(const Located<std::string>& name) {
    const VolumeSpec* const found = volume(*name);
    if (found == nullptr && is_sound("volumes") && is_sound("volumes." + *name)) {
        diagnostics.error(name.at, "no volume is called " + *name, suggester_.suggest(*name, volume_names_));
    }
    return found;
}

std::optional<Endpoint> Judgement::require_endpoint(const Located<std::string>& word) {
    if (const VmSpec* const named = vm(*word)) return endpoint_of(*named);
    if (auto endpoint = resolve_zone_or_address(spec, *word)) return endpoint;
    if (is_zone(*word)) {
        if (is_sound("network." + *word)) {
            diagnostics.error(word.at, fmt::format("no addresses of {} are declared", *word),
                              fmt::format("write network: {}, such as {}: 10.78.0.0/24", *word, *word));
        }
    } else if (word->find('/') != std::string::npos) {
        diagnostics.error(word.at, fmt::format("{} is not {}", *word, parse_network(*word).error()));
    } else if (are_vms_known()) {
        diagnostics.error(word.at, "no VM, zone or address is called " + *word,
                          suggester_.suggest(*word, endpoint_names_));
    }
    return std::nullopt;
}

const VmSpec* Judgement::first_in(const ByAddress& vms, const Cidr& range) {
    const auto first = vms.lower_bound(range.network());
    return first != vms.end() && range.contains(first->first) ? first->second : nullptr;
}

}  // namespace safe::specs
