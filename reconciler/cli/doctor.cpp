#include "reconciler/verify/doctor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "reconciler/cli/commands.hpp"
#include "reconciler/cli/findings.hpp"

namespace safe::cli {

ExitCode doctor(const DoctorOptions& options) {
    std::optional<specs::SafeSpec> spec;
    if (options.file) {
        spec = load({.file = *options.file, .format = options.format});
        if (!spec) return failure;
    }
    const verify::Report report = verify::examine(verify::System(), spec ? &*spec : nullptr);
    fmt::print("{}", options.format == Format::json
                         ? findings_json(report, "diagnosis")
                         : findings_text(report, "this host is fit to be a hypervisor",
                                         "this host is NOT fit to be a hypervisor", style_of(STDOUT_FILENO)));
    return report.proved() ? success : failure;
}

}  // namespace safe::cli
