#include "reconciler/cli/convergence.hpp"

namespace safe::cli {

ExitCode apply(const ApplyOptions& options, const Builtin& builtin, const std::stop_token& stop) {
    const Format format = options.spec.format;
    std::optional<PlanFile> agreed;
    SpecOptions where = options.spec;
    if (options.plan_file) {
        base::Result<PlanFile> read = read_plan_file(*options.plan_file);
        if (!read) return exit_code_of(base::Result<model::Report>(base::fail(read.error())), format);
        agreed = std::move(*read);
        where.file = agreed->spec_file;
    }
    const std::optional<specs::SafeSpec> spec = load(where);
    if (!spec) return failure;
    const driver::KeyRing no_key;
    const auto converge = [&]() -> base::Result<model::Report> {
        const base::Result<model::Mode> mode = mode_of(*spec, agreed ? agreed->mode : options.mode);
        if (!mode) return base::fail(mode.error());
        base::Result<Convergence> convergence = Convergence::begin(*spec, options.state_dir, builtin, no_key, stop);
        if (!convergence) return base::fail(convergence.error());
        return convergence->run({.mode = *mode,
                                 .max_disruption = options.max_disruption,
                                 .yes = options.yes,
                                 .agreed = agreed ? &*agreed : nullptr,
                                 .format = format});
    };
    return exit_code_of(converge(), format);
}

}  // namespace safe::cli
