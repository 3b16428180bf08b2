// How the running kernel was built and started. Reads only.
#pragma once

#include <string>
#include <string_view>

#include "reconciler/verify/system.hpp"

namespace safe::verify {

/// The value of the last `name=value` on the kernel's command line, as the kernel takes it; nullopt without one.
[[nodiscard]] std::optional<std::string> boot_parameter(std::string_view command_line, std::string_view name);

/// The kernel's configuration, from /proc/config.gz or /boot/config-<release>; nullopt when neither is there.
[[nodiscard]] Seen<std::string> kernel_configuration(const System& system);

struct WipesFreedMemory {
    bool yes = false;
    std::string looked_at;
    std::string because;
};
/// Whether init_on_free is in effect.
[[nodiscard]] base::Result<WipesFreedMemory> wipes_freed_memory(const System& system);

}  // namespace safe::verify
