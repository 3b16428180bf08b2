// The sessions of the kernel's iSCSI initiator and the disks that came with them, from sysfs alone. Values.
#pragma once

#include <string>
#include <vector>

#include "reconciler/verify/system.hpp"

namespace safe::verify {

struct IscsiDisk {
    std::uint64_t lun = 0;
    std::string name;  // "sda"
};

struct IscsiSession {
    std::string name;  // "session1"
    std::string target;
    std::string state;                 // "LOGGED_IN"
    std::vector<std::string> portals;  // of its connections: "192.0.2.10:3260"
    std::vector<IscsiDisk> disks;
};

/// An iSCSI name is the same in any case (RFC 3720, 3.2.6), and the kernel has it as whoever logged in spelled it.
[[nodiscard]] bool names_one_target(const std::string& one, const std::string& other);

/// None when the kernel has no initiator loaded.
[[nodiscard]] base::Result<std::vector<IscsiSession>> read_iscsi_sessions(const System& system);

}  // namespace safe::verify
