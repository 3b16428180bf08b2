// An Api that does not take libvirt's word for it that something is not there. A libvirtd that comes back without its
// records (a lost disk, a bad upgrade, a folder restored from elsewhere) says that there are no machines and no
// networks, while guests run on. Believing it would define everything anew and start a second guest on each disk. So:
// while a guest of the safe runs that libvirt does not call running, lists and absences are errors; what libvirt does
// show is passed on, and so is everything that changes something. For a hypervisor on this machine. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugins/libvirt/emulators.hpp"
#include "plugins/libvirt/libvirt_api.hpp"

namespace safe::libvirt {

struct Witness {
    std::function<base::Result<std::vector<Emulator>>()> running;
    std::function<bool(const Emulator&)> still_runs;
};

/// The kernel, for the guests of `safe`.
[[nodiscard]] Witness kernel_witness(const std::string& safe);

[[nodiscard]] std::shared_ptr<Api> witnessed(std::shared_ptr<Api> libvirt, Witness witness);

}  // namespace safe::libvirt
