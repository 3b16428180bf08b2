// Volumes of role data, served to the VMs that mount them: the driver of kind export. NFS 4.2 alone, on the safe's own
// address alone; each volume to the addresses of its VMs and to nobody else. An export is there while it is in one of
// the two tables (nfs_api.hpp) of a running server, or while a client still holds something of the volume; taking it
// away ends both. Exports of other paths are not touched. Thread-safe, as driver.hpp asks.
#pragma once

#include <memory>
#include <vector>

#include "plugins/nfs/nfs_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::nfs {

/// Needs root from the first observe on.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);

/// On another server: what tests use.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                                        std::shared_ptr<Api> api);

}  // namespace safe::nfs
