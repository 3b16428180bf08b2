// Whether something is mounted at a directory, as the kernel tells it (proc_pid_mountinfo(5)). What belongs into an
// encrypted volume is written only where one is mounted: the same path without it is the hypervisor's own disk. Holds
// no state, thread-safe.
#pragma once

#include <filesystem>
#include <string_view>

#include "reconciler/base/result.hpp"

namespace safe::libvirt {

/// Looks at the mounts of this process. An Error when they cannot be read: not knowing is not "no".
[[nodiscard]] base::Result<bool> is_mounted(const std::filesystem::path& directory);

/// The same question to a mountinfo at hand. Pure.
[[nodiscard]] bool lists_mount(std::string_view mountinfo, std::string_view directory);

}  // namespace safe::libvirt
