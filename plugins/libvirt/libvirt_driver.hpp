// The drivers of one libvirt hypervisor: its network, imported images, disks, definitions of virtual machines, and
// running guests. One driver a kind, so that what could not be listed stays within its kind; they share one connection.
// Thread-safe, as driver.hpp asks.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "plugins/libvirt/layout.hpp"
#include "plugins/libvirt/libvirt_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::libvirt {

struct Options {
    std::string uri;                  // the hypervisor, as in the spec
    std::string safe;                 // the safe's name
    std::filesystem::path state_dir;  // the safe's own, for images and disks: /var/lib/safe/atlas
    std::chrono::milliseconds grace = std::chrono::seconds(30);  // how long a guest may take to shut down by itself
    specs::Suspend suspend = specs::Suspend::ram;                // what closing does to workspace VMs
    Keep keep = {};                                              // the volumes that they use
};

/// What the spec says of a safe, as options.
[[nodiscard]] Options options_of(const driver::Setting& setting);
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);

/// For network, image, disk, vm and power. Nothing is connected to or looked at yet.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const Options& options);

/// The same over another Api.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const Options& options,
                                                                        const std::shared_ptr<Api>& api);

/// Gives up what is saved of a VM, so that it boots anew from its disk when the safe opens. Returns a sentence that
/// says what was done. Refused while the vault is not mounted, and for a guest that is there.
[[nodiscard]] base::Result<std::string> discard_state(const driver::Setting& setting, const std::string& vm);

}  // namespace safe::libvirt
