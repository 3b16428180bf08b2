// The driver of kind session: session/<volume> is a volume's logical unit, attached to this host and linked where the
// other parts of the safe look for it. Volumes in files and on local devices have none. Owns its Prober and Host; safe
// to call from several threads at once: targets are asked side by side, the host's sessions are changed one at a time.
#pragma once

#include <memory>
#include <vector>

#include "plugins/iscsi/iscsi_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::iscsi {

/// On this host. `setting.spec` must outlive the drivers.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);

/// On another target and host: what tests use. `devices`: where block devices lie.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                                        std::unique_ptr<Prober> prober,
                                                                        std::unique_ptr<Host> host,
                                                                        std::filesystem::path devices = "/dev");

/// Our mark on this host's sessions and node records: "safe-atlas".
[[nodiscard]] std::string mark_of(const driver::Places& places);

}  // namespace safe::iscsi
