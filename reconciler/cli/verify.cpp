#include "reconciler/verify/verify.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "reconciler/cli/findings.hpp"
#include "reconciler/cli/menu.hpp"

namespace safe::cli {

namespace {

struct VerifyOptions {
    SpecOptions spec;
    std::optional<specs::WantedMode> mode;
};

void declare(CLI::App& app, VerifyOptions& options) {
    add_safe(app, options.spec);
    add_mode(app, options.mode, "the state to prove");
}

ExitCode verify(const VerifyOptions& options, const Surroundings& /*around*/) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const driver::Places places = places_of(*spec, options.spec);
    const base::Result<model::Mode> mode = mode_of(*spec, places, options.mode);
    if (!mode) return report_error(mode.error(), options.spec.format);
    const verify::Report report = verify::verify(verify::System(), *spec, places, *mode);
    const std::string proved = fmt::format("safe {} is {}", *spec->safe, model::to_text(*mode));
    const std::string failed = fmt::format("safe {} is NOT proved {}", *spec->safe, model::to_text(*mode));
    say("{}", options.spec.format == Format::json ? findings_json(report, "verification")
                                                  : findings_text(report, proved, failed, style_of(STDOUT_FILENO)));
    return report.proved() ? success : failure;
}

}  // namespace

void add_verify(Menu& menu) {
    menu.add<VerifyOptions>("verify", "Prove the state by looking at the machine. Changes nothing.", declare, verify);
}

}  // namespace safe::cli
