#include "specs/spec.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "specs/endpoints.hpp"

namespace safe::specs {

std::string to_text(const Position& position) {
    if (position.line == 0) return position.file;
    return fmt::format("{}:{}:{}", position.file, position.line, position.column);
}

std::string_view to_text(WantedMode mode) {
    switch (mode) {
        case WantedMode::automatic:
            return "auto";
        case WantedMode::open:
            return "open";
        case WantedMode::closed:
            return "closed";
        case WantedMode::locked:
            return "locked";
    }
    std::unreachable();
}

std::string_view to_text(Suspend suspend) { return suspend == Suspend::disk ? "disk" : "ram"; }

std::string_view to_text(Role role) { return role == Role::service ? "service" : "workspace"; }

std::string_view to_text(When when) {
    switch (when) {
        case When::open:
            return "open";
        case When::locked:
            return "locked";
        case When::always:
            return "always";
    }
    std::unreachable();
}

std::string_view to_text(VolumeRole role) {
    switch (role) {
        case VolumeRole::vault:
            return "vault";
        case VolumeRole::data:
            return "data";
        case VolumeRole::disks:
            return "disks";
    }
    std::unreachable();
}

std::string_view to_text(Access access) { return access == Access::read_write ? "read-write" : "read-only"; }

std::string_view to_text(Provision provision) { return provision == Provision::never ? "never" : "if-blank"; }

std::string_view to_text(KdfType type) { return type == KdfType::argon2id ? "argon2id" : "pbkdf2"; }

std::string_view to_text(Filesystem filesystem) { return filesystem == Filesystem::ext4 ? "ext4" : "xfs"; }

const VolumeSpec* SafeSpec::volume(std::string_view name) const {
    const auto found = std::ranges::find(volumes, name, &VolumeSpec::name);
    return found == volumes.end() ? nullptr : &*found;
}

const VolumeSpec* SafeSpec::vault() const {
    const auto found =
        std::ranges::find_if(volumes, [](const VolumeSpec& volume) { return *volume.role == VolumeRole::vault; });
    return found == volumes.end() ? nullptr : &*found;
}

const VmSpec* SafeSpec::vm(std::string_view name) const {
    const auto found = std::ranges::find(vms, name, &VmSpec::name);
    return found == vms.end() ? nullptr : &*found;
}

Endpoint endpoint_of(const VmSpec& vm) {
    return {Endpoint::Kind::vm, &vm, Cidr{vm.address ? vm.address->value : Ipv4{}, 32}};
}

std::optional<Endpoint> resolve_zone_or_address(const SafeSpec& spec, std::string_view word) {
    const auto zone = [](Endpoint::Kind kind, const std::optional<Located<Cidr>>& range) -> std::optional<Endpoint> {
        if (!range) return std::nullopt;
        return Endpoint{kind, nullptr, range->value};
    };
    if (spec.network && word == "users") return zone(Endpoint::Kind::users, spec.network->users);
    if (spec.network && word == "super-users") return zone(Endpoint::Kind::super_users, spec.network->super_users);
    if (const auto address = parse_ipv4(word)) return Endpoint{Endpoint::Kind::address, nullptr, Cidr{*address, 32}};
    if (const auto network = parse_network(word)) return Endpoint{Endpoint::Kind::address, nullptr, *network};
    return std::nullopt;
}

std::optional<Endpoint> resolve_endpoint(const SafeSpec& spec, std::string_view word) {
    if (const VmSpec* const vm = spec.vm(word)) return endpoint_of(*vm);
    return resolve_zone_or_address(spec, word);
}

}  // namespace safe::specs
