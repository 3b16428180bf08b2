#include <fmt/format.h>

#include <cstdio>

#include "reconciler/cli/commands.hpp"
#include "specs/loader.hpp"

namespace safe::cli {

ExitCode validate(const SpecOptions& options) {
    const std::optional<specs::SafeSpec> spec = load(options);
    if (!spec) return failure;
    fmt::print("{}: safe {} is valid: {} VMs, {} firewall rules\n", options.file, *spec->safe, spec->vms.size(),
               spec->firewall.size());
    return success;
}

}  // namespace safe::cli
