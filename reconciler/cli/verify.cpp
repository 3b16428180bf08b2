#include "reconciler/verify/verify.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "reconciler/cli/commands.hpp"
#include "reconciler/cli/findings.hpp"

namespace safe::cli {

ExitCode verify(const VerifyOptions& options) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const base::Result<model::Mode> mode = mode_of(*spec, options.mode);
    if (!mode) {
        print_error(mode.error(), options.spec.format);
        return refused;
    }
    const driver::Places places(*spec->safe, options.state_dir / *spec->safe);
    const verify::Report report = verify::verify(verify::System(), *spec, places, *mode);
    const std::string proved = fmt::format("safe {} is {}", *spec->safe, model::to_text(*mode));
    const std::string failed = fmt::format("safe {} is NOT proved {}", *spec->safe, model::to_text(*mode));
    fmt::print("{}", options.spec.format == Format::json
                         ? findings_json(report, "verification")
                         : findings_text(report, proved, failed, style_of(STDOUT_FILENO)));
    return report.proved() ? success : failure;
}

}  // namespace safe::cli
