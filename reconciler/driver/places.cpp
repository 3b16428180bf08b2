#include "reconciler/driver/places.hpp"

#include <algorithm>

namespace safe::driver {

namespace fs = std::filesystem;

namespace {

/// The kernel lists mounts, and the NFS server exports, by what links on the way lead to. What is not there yet is made
/// later, by that name.
fs::path without_links(const fs::path& path) {
    std::error_code error;
    const fs::path found = fs::weakly_canonical(path, error);
    return error || found.empty() ? path : found;
}

}  // namespace

Places::Places(std::string safe, fs::path state_dir, fs::path run_dir, const fs::path& mount_dir)
    : safe_(std::move(safe)),
      state_dir_(std::move(state_dir)),
      run_dir_(std::move(run_dir)),
      mount_root_(without_links(mount_dir / safe_)) {}

fs::path Places::device(const specs::VolumeSpec& volume) const {
    if (volume.file) return volume.file->value.resolved;
    if (volume.device) return volume.device->value.resolved;
    return device_link(volume.name);
}

fs::path Places::device_link(std::string_view volume) const { return run_dir() / "devices" / volume; }

std::string Places::mapping_name(std::string_view volume) const { return "safe-" + safe_ + "-" + std::string(volume); }

fs::path Places::mapped(std::string_view volume) const { return fs::path("/dev/mapper") / mapping_name(volume); }

fs::path Places::mount_point(std::string_view volume) const { return mount_root() / volume; }

std::string Places::subsystem(std::string_view volume) const { return "safe:" + safe_ + "/" + std::string(volume); }

fs::path Places::volume_key(std::string_view vault, std::string_view volume) const {
    return mount_point(vault) / "keys" / (std::string(volume) + ".key");
}

fs::path Places::saved_memory(std::string_view vault, std::string_view vm) const {
    return mount_point(vault) / "memory" / (std::string(vm) + ".save");
}

const specs::VolumeSpec* Places::disks_volume(const specs::SafeSpec& spec) {
    const auto found = std::ranges::find_if(
        spec.volumes, [](const specs::VolumeSpec& volume) { return *volume.role == specs::VolumeRole::disks; });
    return found != spec.volumes.end() ? &*found : spec.vault();
}

bool Places::stays_open(const specs::SafeSpec& spec, const specs::VolumeSpec& volume) {
    return *volume.role == specs::VolumeRole::disks && spec.suspend && **spec.suspend == specs::Suspend::ram &&
           std::ranges::any_of(spec.vms, [](const specs::VmSpec& vm) {
               return *vm.role == specs::Role::workspace && vm.image.has_value();
           });
}

fs::path Places::workspace_disks(const specs::SafeSpec& spec) const {
    const specs::VolumeSpec* volume = disks_volume(spec);
    return volume == nullptr ? fs::path() : mount_point(volume->name) / "disks";
}

fs::path Places::headers(std::string_view volume) const { return state_dir_ / "headers" / volume; }

}  // namespace safe::driver
