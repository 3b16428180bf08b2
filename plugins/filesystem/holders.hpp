// Who keeps a file system from being unmounted, found in /proc: what fuser(1) tells, and besides mount namespaces that
// copied the mount and NFS clients that hold something open on the server. Only reads; holds nothing. Thread-safe.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace safe::filesystem {

/// Processes with an open file, a mapping, a working or a root directory there: "process 4711 (bash)". A process that
/// ends while it is looked at is none.
[[nodiscard]] std::vector<std::string> processes_on(dev_t device, const std::filesystem::path& proc = "/proc");

/// "the mount namespace of process 4711 (qemu-system-x86)", one for each namespace other than that of proc/self.
[[nodiscard]] std::vector<std::string> namespaces_with(dev_t device, const std::filesystem::path& proc = "/proc");

/// "the NFS client 10.77.0.20", one for each that holds a file, a lock or a delegation there.
[[nodiscard]] std::vector<std::string> nfs_clients_on(dev_t device, const std::filesystem::path& proc = "/proc");

}  // namespace safe::filesystem
