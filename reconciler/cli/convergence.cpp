#include "reconciler/cli/convergence.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "reconciler/cli/consent.hpp"
#include "reconciler/cli/event_listener.hpp"
#include "reconciler/cli/terminal.hpp"

namespace safe::cli {
namespace {

using base::Error;
using base::Result;

Result<void> check_agreed(const model::Plan& plan, const PlanFile* agreed) {
    if (agreed == nullptr || view::plan_json(plan) == agreed->plan) return {};
    return base::fail({"apply", "the plan for safe " + plan.safe,
                       "the spec or the world has moved on since it was made",
                       "look at a new plan: safectl plan -f " + agreed->spec_file, Error::Kind::refused});
}

}  // namespace

Result<void> make_state_directory(const std::filesystem::path& directory) {
    ::umask(022);  // parents that are missing must let QEMU pass; files of ours say their modes themselves
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    constexpr auto searchable = std::filesystem::perms(0711);
    // What is as it should be is not written: the disk may be read-only, and who closes goes on.
    if (!error && std::filesystem::status(directory, error).permissions() != searchable && !error)
        std::filesystem::permissions(directory, searchable, error);
    if (error)
        return base::fail({"make the state directory", directory.string(), error.message(),
                           "run as root, or name another --state-dir"});
    return {};
}

Result<Convergence> Convergence::begin(const specs::SafeSpec& spec, const driver::Places& places,
                                       const driver::KeyRing& keys, const Surroundings& around) {
    const std::filesystem::path& state = places.state_dir();
    if (const Result<void> made = make_state_directory(state); !made) return base::fail(made.error());
    // Taken before looking: what is planned must not be moved by another apply meanwhile.
    Result<applying::LockFile> lock = applying::LockFile::take(state / "lock");
    if (!lock) return base::fail(lock.error());
    auto drivers = std::make_unique<applying::DriverSet>(around.builtin.make_drivers({spec, places, keys}));
    return Convergence(spec, state, std::move(*lock), std::move(drivers), around.builtin.missing_plugins(spec), around);
}

Result<Convergence> begin_within(std::chrono::seconds time, const specs::SafeSpec& spec, const driver::Places& places,
                                 const driver::KeyRing& keys, const Surroundings& around) {
    constexpr auto between_looks_at_lock = std::chrono::milliseconds(200);
    const auto end = std::chrono::steady_clock::now() + time;
    for (;;) {
        Result<Convergence> convergence = Convergence::begin(spec, places, keys, around);
        const bool tried_enough = std::chrono::steady_clock::now() >= end || around.stop.stop_requested();
        // Only that another run is at work passes by itself.
        const bool passes = !convergence && convergence.error().kind == Error::Kind::refused;
        if (!passes || tried_enough) return convergence;
        std::this_thread::sleep_for(between_looks_at_lock);
    }
}

Result<model::Report> Convergence::run(const Wish& wish) {
    applying::Goal goal{.spec = *spec_,
                        .mode = wish.mode,
                        .limits = {},
                        .exactly = wish.agreed != nullptr,
                        .refusals = missing_,
                        .still = wish.still};
    applying::Planned planned = applying::look_and_plan(goal, *drivers_, {.stop = stop_});
    if (stop_.stop_requested())
        return base::fail({"apply to", "safe " + *spec_->safe, "interrupted", "", Error::Kind::interrupted});
    if (const Result<void> same = check_agreed(planned.plan, wish.agreed); !same) return base::fail(same.error());
    goal.limits.max_disruption = wish.max_disruption;
    goal.limits.allow_mass_removal = wish.allow_mass_removal;
    planned = applying::plan_from(goal, std::move(planned.question), *drivers_);

    if (wish.format == Format::text) say("{}", view::plan_text(planned.plan, style_of(STDOUT_FILENO)));
    if (planned.plan.runnable() == 0) {
        model::Report nothing;
        nothing.remaining = std::move(planned.plan);
        if (wish.format == Format::json) say("{}", view::report_json(nothing));
        return nothing;
    }
    if (const Result<void> agreed = ask(planned.plan, wish); !agreed) return base::fail(agreed.error());
    if (const Result<void> still = wish.still(); !still) return base::fail(still.error());
    return carry_out(goal, std::move(planned), wish);
}

Result<void> Convergence::ask(const model::Plan& plan, const Wish& wish) const {
    return ask_consent(
        {.attempt = "apply to",
         .object = "safe " + plan.safe,
         .text = fmt::format("apply these {} steps?", plan.refusals.empty() ? plan.steps.size() : plan.runnable()),
         .otherwise = "look at the plan, then apply with --yes"},
        wish.yes, wish.format, stop_);
}

Result<model::Report> Convergence::carry_out(const applying::Goal& goal, applying::Planned planned, const Wish& wish) {
    Result<applying::Journal> opened = applying::Journal::open(state_ / "journal.jsonl");
    applying::Journal journal = opened ? *std::move(opened) : applying::Journal::unopened(opened.error());
    if (const Result<void> recorded = journal.started(planned.plan); !recorded) {
        // Nothing is begun that is on no record, but for closing.
        if (std::ranges::none_of(planned.plan.steps, &model::Step::closes)) return base::fail(recorded.error());
        print_error(recorded.error(), wish.format);
    }

    const bool text = wish.format == Format::text;
    TerminalListener on_terminal(style_of(STDOUT_FILENO), ::isatty(STDOUT_FILENO) == 1);
    EventListener for_programs;
    const applying::Execution execution{.drivers = *drivers_,
                                        .journal = journal,
                                        .listener = text ? static_cast<applying::Listener&>(on_terminal) : for_programs,
                                        .stop = stop_,
                                        .insistence = wish.insistence};
    model::Report report = applying::apply(goal, std::move(planned), execution, {});
    if (const Result<void> recorded = journal.ended(report); !recorded) print_error(recorded.error(), wish.format);
    say("{}", text ? view::report_text(report, style_of(STDOUT_FILENO)) : view::report_json(report));
    return report;
}

Result<model::Report> failed_after(Result<model::Report> result, const std::string& so_far) {
    if (result || result.error().kind != Error::Kind::refused) return result;
    Error error = std::move(result.error());
    error.advice = so_far;
    error.kind = Error::Kind::failed;
    return base::fail(std::move(error));
}

ExitCode exit_code_of_closing(const Result<model::Report>& result, Format format) {
    const ExitCode code = exit_code_of(result, format);
    return result && code == refused ? failure : code;
}

ExitCode exit_code_of(const Result<model::Report>& result, Format format) {
    if (result) {
        const bool begun = result->rounds > 0;
        return !begun && !result->remaining.refusals.empty() ? refused : exit_code_of(*result);
    }
    return report_error(result.error(), format);
}

}  // namespace safe::cli
