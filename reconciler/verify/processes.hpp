// The processes of this machine, from /proc alone. A snapshot: one that begins later is not in it. Values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconciler/verify/system.hpp"

namespace safe::verify {

struct Process {
    int id = 0;
    std::string name;                    // as the kernel keeps it: 15 characters at most
    std::vector<std::string> arguments;  // empty for a thread of the kernel
};

/// "process 812 (qemu-system-x86)".
[[nodiscard]] std::string to_text(const Process& process);
/// The first three of them, and how many more there are.
[[nodiscard]] std::string to_text(const std::vector<Process>& processes);

/// In the order of their ids.
[[nodiscard]] base::Result<std::vector<Process>> read_processes(const System& system);

/// "/proc/812".
[[nodiscard]] std::filesystem::path folder_of(const Process& process);

}  // namespace safe::verify
