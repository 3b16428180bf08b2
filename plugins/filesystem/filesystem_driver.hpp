// Volumes mounted on the hypervisor: the driver of kind mount. A volume that is open is mounted at
// Places::mount_point, below a mount that gathers all of a safe's, so that namespaces which copy it follow when it is
// unmounted (docs/decisions/0030). A mount is ours when it lies there and comes from the volume's mapping. Makes the
// file system of a new volume (provisioning.hpp). Thread-safe, as driver.hpp asks.
#pragma once

#include <memory>
#include <vector>

#include "plugins/filesystem/filesystem_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::filesystem {

/// Needs root from the first observe on.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);

/// On another system: what tests use.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                                        std::shared_ptr<Api> api);

/// The file that allows a new volume to get a file system: made by whoever opens it, removed by the first mount.
[[nodiscard]] std::filesystem::path marker_of(const driver::Places& places, const std::string& volume);

}  // namespace safe::filesystem
