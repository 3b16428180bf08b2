// What closing does to workspace VMs, and what it needs for that.
#include <fmt/format.h>

#include <algorithm>

#include "specs/judgement.hpp"

namespace safe::specs {
namespace {

/// The first workspace VM that is such; nullptr when there is none.
template <class Predicate>
const VmSpec* first_workspace(const Judgement& judgement, Predicate is_such) {
    const auto found = std::ranges::find_if(judgement.spec.vms, [&](const VmSpec& vm) {
        return judgement.is_sound(vm, "role") && vm.role.value == Role::workspace && is_such(vm);
    });
    return found == judgement.spec.vms.end() ? nullptr : &*found;
}

void judge_disk(Judgement& judgement, const Position& at, const VmSpec& workspace) {
    if (!judgement.spec.volumes.empty() || !judgement.is_whole("volumes")) return;
    judgement.diagnostics.error(
        at, fmt::format("suspend: disk saves the memory of {} in the vault, and there is none", workspace.name),
        "write volumes: with one of role vault, or suspend: ram");
}

/// A VM that is only paused holds its disk open: where that lies cannot be closed under it.
void judge_ram(Judgement& judgement, const Position& at) {
    const SafeSpec& spec = judgement.spec;
    const VmSpec* const with_disk = first_workspace(judgement, [](const VmSpec& vm) { return vm.image.has_value(); });
    if (with_disk == nullptr || !judgement.is_whole("volumes")) return;
    if (spec.volumes.empty()) {
        judgement.diagnostics.warning(
            with_disk->at,
            fmt::format("the disk of {} lies in clear on the hypervisor: the safe has no volumes", with_disk->name),
            "write volumes: with one of role vault and one of role disks");
        return;
    }
    const bool has_disks = std::ranges::any_of(
        spec.volumes, [](const VolumeSpec& volume) { return volume.role.value == VolumeRole::disks; });
    if (has_disks) return;
    judgement.diagnostics.error(
        at,
        fmt::format("suspend: ram only pauses {}, so its disk cannot lie in the vault, which is closed then",
                    with_disk->name),
        "add a volume of role disks, or write suspend: disk");
}

}  // namespace

void judge_suspend(Judgement& judgement) {
    const VmSpec* const workspace = first_workspace(judgement, [](const VmSpec&) { return true; });
    if (workspace == nullptr || !judgement.is_sound("suspend")) return;
    const auto& suspend = judgement.spec.suspend;
    if (!suspend) {
        judgement.diagnostics.error(
            workspace->role.at,
            fmt::format("{} is a workspace VM, and the spec does not say how closing suspends it", workspace->name),
            "write suspend: disk, which saves its memory, or suspend: ram, which pauses it");
    } else if (suspend->value == Suspend::disk) {
        judge_disk(judgement, suspend->at, *workspace);
    } else {
        judge_ram(judgement, suspend->at);
    }
}

}  // namespace safe::specs
