#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "reconciler/cli/commands.hpp"
#include "reconciler/cli/plan_file.hpp"

namespace safe::cli {

ExitCode plan(const PlanOptions& options, const Builtin& builtin, const std::stop_token& stop) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const base::Result<model::Mode> mode = mode_of(*spec, options.mode);
    if (!mode) {
        print_error(mode.error(), options.spec.format);
        return refused;
    }
    const driver::KeyRing no_key;
    const driver::Places places(*spec->safe, options.state_dir / *spec->safe);
    applying::DriverSet drivers(builtin.make_drivers({*spec, places, no_key}));
    const applying::Goal goal{.spec = *spec, .mode = *mode, .limits = {}, .refusals = builtin.missing_plugins(*spec)};
    const model::Plan plan = applying::look_and_plan(goal, drivers, {.stop = stop}).plan;
    if (stop.stop_requested()) return interrupted;

    const std::string json = view::plan_json(plan);
    if (options.out) {
        const PlanFile file{std::filesystem::absolute(options.spec.file).string(), options.mode, json};
        if (const base::Result<void> written = write_plan_file(*options.out, file); !written) {
            print_error(written.error(), options.spec.format);
            return failure;
        }
    }
    fmt::print("{}", options.spec.format == Format::json ? json : view::plan_text(plan, style_of(STDOUT_FILENO)));
    return exit_code_of(plan, options.exit_code);
}

}  // namespace safe::cli
