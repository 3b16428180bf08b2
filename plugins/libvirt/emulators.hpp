// The processes that a safe's guests run in, as the host's kernel tells of them: what libvirt may have forgotten. Reads
// /proc and changes nothing; thread-safe.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "reconciler/base/result.hpp"

namespace safe::libvirt {

struct Emulator {
    pid_t process = 0;
    std::string vm;    // its name in the spec
    std::string uuid;  // of the guest
    bool operator==(const Emulator&) const = default;
};

/// QEMU processes that bear the name and the UUID of a guest of `safe`, started from this network namespace: another
/// namespace has a libvirtd, and a safe, of its own. A process that ends meanwhile is left out; an Error when processes
/// cannot be listed.
[[nodiscard]] base::Result<std::vector<Emulator>> emulators_of(const std::string& safe,
                                                               const std::filesystem::path& proc = "/proc");

/// Whether that very guest still runs in that process.
[[nodiscard]] bool still_runs(const Emulator& emulator, const std::filesystem::path& proc = "/proc");

}  // namespace safe::libvirt
