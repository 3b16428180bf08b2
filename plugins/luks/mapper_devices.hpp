// Device-mapper's devices as sysfs and the kernel's own interface (dm-ioctl.h) show them: without a library that keeps
// global state, without reading any device that could hang, and without ever asking for a table, which may hold a key.
// Thread-safe; keeps nothing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "plugins/luks/luks_api.hpp"

namespace safe::luks {

/// "crypt", "error": what the device's first target is; empty when it has none, or there is no such device.
[[nodiscard]] base::Result<std::string> target_of(const std::string& name);

/// Lets a suspended device go on; what had waited is written. false: its key was wiped, and it stays as it is.
[[nodiscard]] base::Result<bool> resume_device(const std::string& name);

/// Replaces what the device does by errors: the old table goes, and its key with it, whoever has the device open and
/// whatever became of its storage. Nothing is written out first. Nothing to do when there is no such device. Cut short,
/// it is done by the next call.
[[nodiscard]] base::Result<void> replace_by_errors(const std::string& name);
/// Takes a device away that was replaced by errors. false: somebody holds it.
[[nodiscard]] base::Result<bool> remove_device(const std::string& name);

/// Every one. `block_devices` is /sys/block.
[[nodiscard]] base::Result<std::vector<Mapping>> list_mappings(const std::filesystem::path& block_devices);

/// Whether ext4 or XFS begins on the opened mapping.
[[nodiscard]] base::Result<bool> begins_with_file_system(const std::string& name);

/// Whether what is mounted at `place` lies on the mapping.
[[nodiscard]] base::Result<bool> is_mounted(const std::string& name, const std::filesystem::path& place);

}  // namespace safe::luks
