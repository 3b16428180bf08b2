#include <fmt/format.h>
#include <unistd.h>

#include "reconciler/applying/rounds.hpp"
#include "reconciler/cli/menu.hpp"
#include "reconciler/cli/plan_file.hpp"

namespace safe::cli {

namespace {

struct PlanOptions {
    SpecOptions spec;
    std::optional<specs::WantedMode> mode;
    bool exit_code = false;
    std::optional<std::string> out;
};

void declare(CLI::App& app, PlanOptions& options) {
    add_safe(app, options.spec);
    add_mode(app, options.mode, "as if the spec said this mode");
    app.add_flag("--exit-code", options.exit_code,
                 "2: steps could run, 3: only waits are left, 1: something is unknown");
    app.add_option("--out", options.out, "keep the plan, for: safectl apply FILE")->option_text("FILE");
}

ExitCode plan(const PlanOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const driver::Places places = places_of(*spec, options.spec);
    const base::Result<model::Mode> mode = mode_of(*spec, places, options.mode);
    if (!mode) return report_error(mode.error(), options.spec.format);
    const driver::KeyRing no_key;
    applying::DriverSet drivers(around.builtin.make_drivers({*spec, places, no_key}));
    const applying::Goal goal{
        .spec = *spec, .mode = *mode, .limits = {}, .refusals = around.builtin.missing_plugins(*spec)};
    const model::Plan plan = applying::look_and_plan(goal, drivers, {.stop = around.stop}).plan;
    if (around.stop.stop_requested()) return interrupted;

    const std::string json = view::plan_json(plan);
    if (options.out) {
        const PlanFile file{std::filesystem::absolute(options.spec.file).string(), options.mode, json};
        if (const base::Result<void> written = write_plan_file(*options.out, file); !written)
            return report_error(written.error(), options.spec.format);
    }
    say("{}", options.spec.format == Format::json ? json : view::plan_text(plan, style_of(STDOUT_FILENO)));
    return exit_code_of(plan, options.exit_code);
}

}  // namespace

void add_plan(Menu& menu) {
    menu.add<PlanOptions>("plan", "Show what apply would do. Reads the live system, changes nothing.", declare, plan);
}

}  // namespace safe::cli
