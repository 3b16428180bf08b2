// What the mount driver needs of the system: see and make mounts of its own mount namespace, recognise, make and check
// file systems, and tell who holds a device. Paths and devices are given by the caller, who has judged them. Errors say
// what to do. Implementations are called from several threads at once; this one keeps no state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/base/result.hpp"

namespace safe::filesystem {

/// One line of /proc/self/mountinfo (proc(5)).
struct MountEntry {
    std::string source;  // as it was given to mount(2)
    dev_t device = 0;    // of the file system
    std::filesystem::path target;
    std::string type;
    bool read_only = false;  // the mount or the whole file system
    bool nodev = false;
    bool nosuid = false;
    bool noexec = false;
    int id = 0;
    int parent = 0;                                // the id of the mount it lies on
    std::optional<int> peer_group = std::nullopt;  // "shared:N" of mount_namespaces(7)
};

/// What a device carries, judged by its signatures alone: behind fresh encryption even an empty one reads as noise.
struct Content {
    enum class What {
        nothing,
        filesystem,
        other,  // a partition table, LVM, RAID, another LUKS header, or several things at once
    };
    What what = What::nothing;
    std::string name = {};  // libblkid's: "ext4", "xfs", "LVM2_member"
};

struct Space {
    std::uint64_t size = 0;  // bytes
    std::uint64_t free = 0;  // bytes, for those who are not root
    std::uint64_t inodes = 0;
    std::uint64_t free_inodes = 0;
};

enum class Unmounted { done, busy };

class Api {
 public:
    Api() = default;
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;
    Api(Api&&) = delete;
    Api& operator=(Api&&) = delete;
    virtual ~Api() = default;

    /// In the order in which they were made: of several at one place, the last one is seen.
    [[nodiscard]] virtual base::Result<std::vector<MountEntry>> mounts() = 0;
    /// Whether what is mounted here is mounted for the hypervisor too: our mount namespace is that of process 1.
    [[nodiscard]] virtual base::Result<bool> in_hosts_namespace() = 0;
    /// The number of a block device; nullopt when there is nothing at that path.
    [[nodiscard]] virtual base::Result<std::optional<dev_t>> device_of(const std::filesystem::path& path) = 0;

    /// Whether device-mapper holds back whatever is read from this device or written to it: who asks a file system on
    /// it waits, for as long as it is so, and cannot be killed. False for a device that is not device-mapper's.
    [[nodiscard]] virtual base::Result<bool> suspended(dev_t device) = 0;

    [[nodiscard]] virtual base::Result<Content> content(const std::filesystem::path& device) = 0;
    /// The first `size` bytes.
    [[nodiscard]] virtual base::Result<std::string> start_of(const std::filesystem::path& device, std::size_t size) = 0;
    /// Makes a file system, over whatever is there only if `again`. Returns when it is on the device.
    [[nodiscard]] virtual base::Result<void> make(const std::string& type, const std::filesystem::path& device,
                                                  const std::string& label, bool again) = 0;
    /// Replays and repairs what can be repaired without loss. Nothing is done for a type whose kernel driver does so.
    [[nodiscard]] virtual base::Result<void> check(const std::string& type, const std::filesystem::path& device) = 0;

    /// With nodev, nosuid and noexec. Never falls back to a read-only mount.
    [[nodiscard]] virtual base::Result<void> mount(const std::filesystem::path& device,
                                                   const std::filesystem::path& target, const std::string& type,
                                                   bool read_only) = 0;
    /// Never lazily, never following a link.
    [[nodiscard]] virtual base::Result<Unmounted> unmount(const std::filesystem::path& target) = 0;
    /// Mounts a directory on itself unless it is a mount point, and makes that mount a peer group of its own.
    [[nodiscard]] virtual base::Result<void> gather(const std::filesystem::path& directory) = 0;

    /// Who keeps the file system of this device: processes, mount namespaces other than ours, NFS clients; one text
    /// each. Names of files are data of the safe and are left out.
    [[nodiscard]] virtual base::Result<std::vector<std::string>> holders(dev_t device) = 0;
    /// Only those that have it mounted in a mount namespace other than ours.
    [[nodiscard]] virtual base::Result<std::vector<std::string>> other_namespaces(dev_t device) = 0;

    /// Whether the file system that is mounted there has given up, as xfs does when it cannot write its log: mounted as
    /// before, it answers everything with an error.
    [[nodiscard]] virtual base::Result<bool> shut_down(const std::filesystem::path& target) = 0;

    [[nodiscard]] virtual base::Result<Space> space(const std::filesystem::path& target) = 0;
};

/// libmount, libblkid and the programs of e2fsprogs and xfsprogs.
[[nodiscard]] std::unique_ptr<Api> make_system_api();

}  // namespace safe::filesystem
