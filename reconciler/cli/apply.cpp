#include <fmt/format.h>

#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/user.hpp"

namespace safe::cli {
namespace {

struct ApplyOptions {
    SpecOptions spec;
    std::optional<specs::WantedMode> mode;
    std::optional<std::string> plan_file;
    std::optional<model::Disruption> max_disruption;
    bool allow_mass_removal = false;
    bool yes = false;
};

void declare(CLI::App& app, ApplyOptions& options) {
    add_safe(app, options.spec);
    CLI::Option* plan_file =
        app.add_option("plan", options.plan_file, "a plan kept with plan --out: apply exactly this")
            ->option_text("[FILE]");
    add_mode(app, options.mode, "as if the spec said this mode")->excludes(plan_file);
    add_choice<model::Disruption>(app, "--max-disruption", options.max_disruption,
                                  {{"none", model::Disruption::none},
                                   {"live", model::Disruption::live},
                                   {"restart", model::Disruption::restart},
                                   {"downtime", model::Disruption::downtime}},
                                  "refuse a plan that costs more");
    app.add_flag("--allow-mass-removal", options.allow_mass_removal,
                 "let more than a third of the users lose their access at once");
    app.add_flag("--yes", options.yes, "do not ask");
}

base::Result<model::Report> converge(const specs::SafeSpec& spec, const SpecOptions& where, const ApplyOptions& options,
                                     const PlanFile* agreed, const Surroundings& around) {
    const driver::Places places = places_of(spec, where);
    const driver::KeyRing no_key;
    base::Result<Convergence> convergence = Convergence::begin(spec, places, no_key, around);
    if (!convergence) return base::fail(convergence.error());
    const auto wanted = [&] { return mode_of(spec, places, agreed != nullptr ? agreed->mode : options.mode); };
    const base::Result<model::Mode> mode = wanted();
    if (!mode) return base::fail(mode.error());
    const auto still = [&]() -> base::Result<void> {
        if (base::Result<void> same = still_says(where, spec); !same) return same;
        const base::Result<model::Mode> now = wanted();
        if (!now) return base::fail(now.error());
        if (*now == *mode) return {};
        return base::fail({"apply to", "safe " + *spec.safe,
                           fmt::format("it is to be {} now, and was to be {}", to_text(*now), to_text(*mode)),
                           "look at a new plan", base::Error::Kind::refused});
    };
    base::Result<model::Report> report = convergence->run({.mode = *mode,
                                                           .max_disruption = options.max_disruption,
                                                           .allow_mass_removal = options.allow_mass_removal,
                                                           .yes = options.yes,
                                                           .agreed = agreed,
                                                           .format = where.format,
                                                           .still = still});
    if (report && agreed == nullptr && *mode != model::Mode::locked) finish_members(spec, places, around, where.format);
    return report;
}

ExitCode apply(const ApplyOptions& options, const Surroundings& around) {
    std::optional<PlanFile> agreed;
    SpecOptions where = options.spec;
    if (options.plan_file) {
        base::Result<PlanFile> read = read_plan_file(*options.plan_file);
        if (!read) return report_error(read.error(), where.format);
        agreed = std::move(*read);
        where.file = agreed->spec_file;
    }
    const std::optional<specs::SafeSpec> spec = load(where);
    if (!spec) return failure;
    return exit_code_of(converge(*spec, where, options, agreed ? &*agreed : nullptr, around), where.format);
}

}  // namespace

void add_apply(Menu& menu) {
    menu.add<ApplyOptions>("apply", "Make the live system as the spec declares it.", declare, apply);
}

}  // namespace safe::cli
