#include "reconciler/verify/verify.hpp"

#include <algorithm>
#include <array>

#include "reconciler/verify/scene.hpp"

namespace safe::verify {
namespace {

using base::Result;

std::vector<Finding> memory(const Scene& scene) { return check_memory(scene.system); }
std::vector<Finding> swap(const Scene& scene) { return check_swap(scene.system, scene.devices); }

/// In the order in which a volume is opened, then the machine's own settings.
constexpr std::array checks{check_sessions, check_loops,   check_mappings,    check_keyrings, check_mounts,
                            check_holders,  check_exports, check_nfs_clients, check_guests,   check_ports,
                            check_firewall, check_files,   Check{memory},     Check{swap}};

Result<Estate> estate_of(const System& system, const specs::SafeSpec& spec, const driver::Places& places, bool open,
                         const Result<BlockDevices>& devices, const Result<std::vector<IscsiSession>>& sessions) {
    if (!devices) return base::fail(devices.error());
    if (!sessions) return base::fail(sessions.error());
    return find_estate(system, spec, places, open, *devices, *sessions);
}

}  // namespace

Scene look(const System& system, const specs::SafeSpec& spec, const driver::Places& places, model::Mode mode) {
    Result<BlockDevices> devices = BlockDevices::read(system);
    Result<std::vector<IscsiSession>> sessions = read_iscsi_sessions(system);
    Result<std::vector<Process>> processes = read_processes(system);
    Result<Mounts> mounts = processes ? read_mounts(system, *processes) : base::fail(processes.error());
    Result<Estate> estate = estate_of(system, spec, places, mode == model::Mode::open, devices, sessions);
    return {.system = system,
            .spec = spec,
            .places = places,
            .mode = mode,
            .devices = std::move(devices),
            .sessions = std::move(sessions),
            .processes = std::move(processes),
            .mounts = std::move(mounts),
            .estate = std::move(estate)};
}

Report verify(const System& system, const specs::SafeSpec& spec, const driver::Places& places, model::Mode mode) {
    const Scene scene = look(system, spec, places, mode);
    Report report{.safe = *spec.safe, .mode = mode, .findings = {}};
    for (const Check check : checks) std::ranges::move(check(scene), std::back_inserter(report.findings));
    report.unprotected = limits_of(scene, report.findings);
    return report;
}

}  // namespace safe::verify
