// The scene: what every check is given. The machine as it was found once, at the beginning, and the state that is to be
// proved. Checks read further files through `system`. What could not be gathered is an Error here and becomes a line
// "unknown" in each check that needs it.
#pragma once

#include <vector>

#include "reconciler/driver/places.hpp"
#include "reconciler/verify/estate.hpp"
#include "reconciler/verify/finding.hpp"
#include "reconciler/verify/mounts.hpp"
#include "reconciler/verify/processes.hpp"

namespace safe::verify {

struct Scene {
    const System& system;
    const specs::SafeSpec& spec;
    const driver::Places& places;
    model::Mode mode;
    base::Result<BlockDevices> devices;
    base::Result<std::vector<IscsiSession>> sessions;
    base::Result<std::vector<Process>> processes;
    base::Result<Mounts> mounts;
    base::Result<Estate> estate;

    [[nodiscard]] bool open() const { return mode == model::Mode::open; }
};

/// Looks at everything the checks share.
[[nodiscard]] Scene look(const System& system, const specs::SafeSpec& spec, const driver::Places& places,
                         model::Mode mode);

using Check = std::vector<Finding> (*)(const Scene& scene);

// --- the checks, one file each

[[nodiscard]] std::vector<Finding> check_mappings(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_keyrings(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_mounts(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_loops(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_holders(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_sessions(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_exports(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_nfs_clients(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_guests(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_ports(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_firewall(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_files(const Scene& scene);
[[nodiscard]] std::vector<Finding> check_memory(const System& system);
[[nodiscard]] std::vector<Finding> check_swap(const System& system, const base::Result<BlockDevices>& devices);

/// What even a proved state does not protect against; short sentences.
[[nodiscard]] std::vector<std::string> limits_of(const Scene& scene, const std::vector<Finding>& findings);

}  // namespace safe::verify
