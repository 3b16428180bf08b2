// The kernel's iSCSI sessions, and the units below them, as sysfs shows them (Documentation/ABI and
// drivers/scsi/scsi_transport_iscsi.c of Linux). Only reads. What vanishes while it is read is not there; what is there
// and cannot be read is an error, never an absence.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "plugins/iscsi/iscsi_api.hpp"

namespace safe::iscsi {

/// Every session of the host, in order of its number.
[[nodiscard]] base::Result<std::vector<Session>> read_sessions(const Roots& roots);

/// The file that makes the kernel scan for units of this session ("host3/scan"); nullopt when the session is gone.
[[nodiscard]] std::optional<std::filesystem::path> scan_file(const Roots& roots, std::uint32_t session);

/// The directory of one SCSI device; nullopt when the kernel does not have it.
[[nodiscard]] std::optional<std::filesystem::path> unit_directory(const Roots& roots, std::uint32_t session,
                                                                  std::uint32_t lun);

}  // namespace safe::iscsi
