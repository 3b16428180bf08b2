// Memory: the kernel's own settings that decide whether closed means gone from RAM too.
#include <fmt/format.h>

#include "reconciler/verify/kernel_settings.hpp"
#include "reconciler/verify/scene.hpp"

namespace safe::verify {

std::vector<Finding> check_memory(const System& system) {
    Lines lines("memory");
    const base::Result<WipesFreedMemory> wipes = wipes_freed_memory(system);
    if (!wipes)
        lines.unknown("/proc/cmdline", wipes.error());
    else if (wipes->yes)
        lines.ok(wipes->looked_at, "the kernel wipes memory when it is freed: " + wipes->because);
    else
        lines.fault(wipes->looked_at,
                    "the kernel does not wipe freed memory (" + wipes->because +
                        "): a passphrase and contents of files stay in RAM after closing",
                    "boot with init_on_free=1");
    const std::string crash = "/sys/kernel/kexec_crash_loaded";
    const Seen<std::string> loaded = system.read_line(crash);
    if (!loaded)
        lines.unknown(crash, loaded.error());
    else if (loaded.value_or("0") != "0")
        lines.fault(crash, "a crash kernel is loaded: a crash writes all memory, keys and guests, to disk in the clear",
                    "kexec -p -u, and remove kdump-tools");
    else
        lines.ok(crash, loaded.there() ? "no crash kernel is loaded" : "this kernel cannot load a crash kernel");
    return lines.take();
}

}  // namespace safe::verify
