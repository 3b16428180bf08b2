// The volumes: one vault, where each lies, what may be done to it, what guessing its keys costs; and who mounts them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "specs/judgement.hpp"

namespace safe::specs {
namespace {

/// At most one of a role: the first keeps it.
void judge_only_one(Judgement& judgement, VolumeRole role) {
    const VolumeSpec* first = nullptr;
    for (const VolumeSpec& volume : judgement.spec.volumes) {
        if (!judgement.is_sound(volume, "role") || *volume.role != role) continue;
        if (first == nullptr) {
            first = &volume;
            continue;
        }
        judgement.diagnostics.error(
            volume.role.at, fmt::format("{} and {} both have the role {}", first->name, volume.name, to_text(role)),
            "a safe has only one such volume; that is at " + to_text(first->role.at));
    }
}

void judge_roles(Judgement& judgement) {
    judge_only_one(judgement, VolumeRole::vault);
    judge_only_one(judgement, VolumeRole::disks);
    const auto& volumes = judgement.spec.volumes;
    const bool lacks_vault = !volumes.empty() && judgement.is_whole("volumes") && judgement.spec.vault() == nullptr;
    if (!lacks_vault) return;
    judgement.diagnostics.error(volumes.front().at, "none of the volumes is the vault",
                                "write role: vault in one; the keys of all others lie there");
}

/// Where volumes lie, in one spelling each, and whose that is.
class Storages {
 public:
    void add(Judgement& judgement, std::string where, const VolumeSpec& volume, const Position& at) {
        const auto [owner, is_first] = owners_.emplace(std::move(where), &volume);
        if (is_first) return;
        judgement.diagnostics.error(at,
                                    fmt::format("{} would be the same storage as {}", volume.name, owner->second->name),
                                    "give each volume its own; that is at " + to_text(owner->second->at));
    }

 private:
    std::map<std::string, const VolumeSpec*> owners_;
};

void judge_portal(Judgement& judgement, const VolumeSpec& volume, const Located<Portal>& portal) {
    if (!judgement.is_sound(volume, "iscsi.portal")) return;
    const std::uint32_t first_octet = portal->address.value >> 24;
    if (first_octet != 0 && first_octet < 224) return;  // RFC 6890: this host; multicast and above
    judgement.diagnostics.error(
        portal.at, fmt::format("{}: {} is no address that a target can have", volume.name, to_text(portal->address)));
}

/// An iSCSI name is the same in any case, and names one target whichever portal leads to it (RFC 3720, 3.2.6).
std::string storage_of(const IscsiSpec& iscsi) {
    std::string target = *iscsi.target;
    for (char& c : target) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return fmt::format("{} {}", target, *iscsi.lun);
}

void judge_place(Judgement& judgement, const VolumeSpec& volume, Storages& storages) {
    const bool has_file = volume.file.has_value() || !judgement.is_sound(volume, "file");
    const bool has_device = volume.device.has_value() || !judgement.is_sound(volume, "device");
    const int places = int{volume.iscsi.has_value()} + int{has_file} + int{has_device};
    if (places != 1) {
        judgement.diagnostics.error(
            volume.at,
            fmt::format("{} has {} of iscsi, file and device", volume.name, places == 0 ? "none" : "several"),
            "exactly one says where it lies");
    }
    if (volume.iscsi) {
        judge_portal(judgement, volume, volume.iscsi->portal);
        const bool is_named = judgement.is_sound(volume, "iscsi.target") && judgement.is_sound(volume, "iscsi.lun");
        if (is_named) storages.add(judgement, storage_of(*volume.iscsi), volume, volume.iscsi->at);
    }
    if (volume.file) storages.add(judgement, (*volume.file)->resolved, volume, volume.file->at);
    if (volume.device) storages.add(judgement, (*volume.device)->resolved, volume, volume.device->at);
}

void judge_access(Judgement& judgement, const VolumeSpec& volume) {
    if (!judgement.is_sound(volume, "access") || *volume.access == Access::read_write) return;
    if (judgement.is_sound(volume, "role") && *volume.role != VolumeRole::data) {
        judgement.diagnostics.error(
            volume.access.at,
            fmt::format("{} has the role {}, and is written to whenever the safe closes or opens", volume.name,
                        to_text(*volume.role)),
            "only a volume of role data can be read-only");
    }
    if (judgement.is_sound(volume, "provision") && *volume.provision == Provision::if_blank) {
        judgement.diagnostics.error(volume.provision.at,
                                    fmt::format("{} is read-only, and so is never formatted", volume.name),
                                    "write provision: never, or access: read-write");
    }
}

bool is_written(const Position& at) { return at.line != 0; }

/// What a guess at a member's key costs. The keys of all other volumes are random.
void judge_kdf(Judgement& judgement, const VolumeSpec& volume) {
    constexpr std::uint32_t most = 64;  // one login would take minutes
    const KdfSpec& kdf = volume.encryption.kdf;
    if (!is_written(kdf.at) || !judgement.is_sound(volume, "role")) return;
    if (*volume.role != VolumeRole::vault) {
        judgement.diagnostics.warning(
            kdf.at, fmt::format("{}: kdf has no effect, its key is random and lies in the vault", volume.name),
            "leave it out; only the vault's counts");
        return;
    }
    if (judgement.is_sound(volume, "encryption.kdf.type") && *kdf.type != KdfType::argon2id) {
        judgement.diagnostics.error(
            kdf.type.at, fmt::format("{}: a member's key is made with argon2id and nothing else", volume.name),
            "leave type out");
    } else if (judgement.is_sound(volume, "encryption.kdf.passes") && *kdf.passes > most) {
        judgement.diagnostics.error(
            kdf.passes.at,
            fmt::format("{}: {} passes are too many to log in with; at most {}", volume.name, *kdf.passes, most),
            "lower it, and raise memory");
    }
}

}  // namespace

void judge_volumes(Judgement& judgement) {
    judge_roles(judgement);
    Storages storages;
    for (const VolumeSpec& volume : judgement.spec.volumes) {
        if (!judgement.is_sound("volumes." + volume.name)) continue;
        judge_place(judgement, volume, storages);
        judge_access(judgement, volume);
        judge_kdf(judgement, volume);
    }
}

void judge_mounts(Judgement& judgement) {
    for (const VmSpec& vm : judgement.spec.vms) {
        if (vm.mounts.empty()) continue;
        const Position& at = vm.mounts.front().path.at;
        if (judgement.is_sound(vm, "role") && vm.role.value == Role::service) {
            judgement.diagnostics.error(
                at, fmt::format("{} is a service VM, which runs while the safe is closed and mounts nothing", vm.name),
                "make it a workspace VM, or remove its mounts");
        }
        if (!judgement.spec.network && judgement.is_sound("network")) {
            judgement.diagnostics.error(at, fmt::format("{} mounts volumes, but the safe has no network", vm.name),
                                        "write a network: volumes are served over it");
        }
        for (const VmMount& mount : vm.mounts) {
            const VolumeSpec* const volume = judgement.require_volume(mount.volume);
            const bool is_served =
                volume == nullptr || !judgement.is_sound(*volume, "role") || *volume->role == VolumeRole::data;
            if (is_served) continue;
            judgement.diagnostics.error(mount.volume.at,
                                        fmt::format("{} mounts {}, which has the role {} and is never served to a VM",
                                                    vm.name, volume->name, to_text(*volume->role)),
                                        "mount a volume of role data");
        }
    }
}

void judge_removals(Judgement& judgement) {
    const SafeSpec& spec = judgement.spec;
    for (const RemovalSpec& removal : spec.remove) {
        const std::string_view word = *removal.resource;
        const std::size_t slash = word.find('/');
        const Located<std::string> name{std::string(word.substr(slash + 1)), removal.resource.at};
        const bool is_vm = word.substr(0, slash) == "vm";
        const VmSpec* const vm = is_vm ? judgement.vm(*name) : nullptr;
        const VolumeSpec* const volume = is_vm ? nullptr : judgement.volume(*name);
        if (vm == nullptr && volume == nullptr) continue;
        judgement.diagnostics.error(
            name.at, fmt::format("remove: {} is still declared, and only what has left the spec is removed", word),
            "remove it there first; that is at " + to_text(vm != nullptr ? vm->at : volume->at));
    }
}

}  // namespace safe::specs
