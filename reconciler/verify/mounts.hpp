// What is mounted, in every mount namespace there is: those of processes and of their threads, and those that only a
// bind mount or an open descriptor keeps alive, which are entered to be looked at. A snapshot; values.
#pragma once

#include <string>
#include <vector>

#include "reconciler/verify/processes.hpp"
#include "reconciler/verify/system.hpp"

namespace safe::verify {

/// A line of mountinfo (proc_pid_mountinfo(5)).
struct Mount {
    DeviceNumber device = {};
    std::string root;   // which part of the filesystem
    std::string point;  // where, as seen in its namespace
    std::string type;
    std::string source;
    std::string options;  // of the mount and of the filesystem, joined by a comma

    [[nodiscard]] bool read_only() const;
    /// `folder` bound on itself, so that mounts below it spread as they should: nothing of a volume, and there in every
    /// mode.
    [[nodiscard]] bool binds_on_itself(std::string_view folder) const;
};

struct MountNamespace {
    std::string id;                // "mnt:[4026531841]"
    std::string looked_at;         // "/proc/1/mountinfo"
    std::vector<Process> members;  // empty: only kept alive
    std::vector<Mount> mounts = {};
    bool ours = false;  // the one this program is in
};

struct Mounts {
    std::vector<MountNamespace> namespaces;
    std::vector<base::Error> unseen;  // namespaces that could not be looked into
};

/// Lines of another form are an error.
[[nodiscard]] base::Result<std::vector<Mount>> parse_mounts(std::string_view mountinfo);

[[nodiscard]] base::Result<Mounts> read_mounts(const System& system, const std::vector<Process>& processes);

}  // namespace safe::verify
