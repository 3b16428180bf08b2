// safectl close: everybody is out and logins are held; then the safe converges to *closed*, again and again until
// nothing is left open. What will not go by the spec's deadline is made to.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "reconciler/base/pause.hpp"
#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/people.hpp"
#include "reconciler/cli/urgency.hpp"
#include "reconciler/intent/requests.hpp"

namespace safe::cli {
namespace {

using base::Result;
using Clock = std::chrono::steady_clock;

constexpr auto between_tries = std::chrono::seconds(2);
/// How often it is tried with force before a person must look.
constexpr int tries_with_force = 3;

/// What is open in an open safe is of these kinds.
bool is_opened(model::Kind kind) {
    switch (kind) {
        case model::Kind::session:
        case model::Kind::mapping:
        case model::Kind::mount:
        case model::Kind::exported:
        case model::Kind::ruleset:
        case model::Kind::power:
            return true;
        default:
            return false;
    }
}

/// Nothing is left to close, as far as can be seen. What else the spec wants and does not get has no part in that.
bool is_closed(const model::Report& report) {
    const model::Plan& left = report.remaining;
    const auto is_open = [](const model::Held& held) { return is_opened(held.resource.kind); };
    const auto hides = [](const model::Blind& blind) { return std::ranges::any_of(blind.kinds, is_opened); };
    return std::ranges::none_of(left.steps, &model::Step::closes) && std::ranges::none_of(left.unknown, is_open) &&
           std::ranges::none_of(left.blocked, &model::Held::closes) && std::ranges::none_of(left.blind, hides);
}

}  // namespace

Result<model::Report> close_until_closed(Convergence& convergence, const specs::SafeSpec& spec, model::Mode mode,
                                         std::chrono::seconds deadline, Format format, const std::stop_token& stop) {
    const Clock::time_point begin = Clock::now();
    const Clock::time_point end = begin + deadline;
    const Clock::time_point asleep_by = std::min(end, begin + std::chrono::seconds(spec.deadlines.suspend->seconds));
    int forced = 0;
    for (;;) {
        const bool force = Clock::now() >= end;
        Result<model::Report> report = convergence.run(
            {.mode = mode, .yes = true, .insistence = {.asleep_by = asleep_by, .force = force}, .format = format});
        if (!report || report->interrupted || is_closed(*report) || stop.stop_requested()) return report;
        if (force && ++forced == tries_with_force) return report;
        if (format == Format::text)
            say("\nnot closed yet: trying again{}\n\n", Clock::now() >= end ? ", with force" : "");
        base::pause_for(between_tries, stop);
    }
}

namespace {

struct CloseOptions {
    SpecOptions spec;
    bool cancel_tasks = false;
};

void declare(CLI::App& app, CloseOptions& options) {
    add_safe(app, options.spec);
    app.add_flag("--cancel-tasks", options.cancel_tasks, "end the tasks that keep it open, whosever they are");
}

/// Everybody is out and nobody gets in for a while, on the medium, before anything is closed. Refused while something
/// asks for it to be open that closing would not end.
Result<void> send_everybody_out(const specs::SafeSpec& spec, const driver::Places& places, bool cancel_tasks) {
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail(
            {"close", "safe " + *spec.safe, std::move(cause), std::move(advice), base::Error::Kind::refused});
    };
    if (*spec.mode == specs::WantedMode::open)
        return refuse(fmt::format("{} says mode: open", to_text(spec.mode.at)), "change the file");
    Result<People> people = People::at(places);
    if (!people) return base::fail(people.error());
    const Result<intent::Snapshot> intent = people->store().snapshot();
    if (!intent) return base::fail(intent.error());
    const std::vector<std::string> running = intent::running_tasks(intent::of_users(spec, *intent), people->now());
    if (!running.empty() && !cancel_tasks)
        return refuse(fmt::format("tasks are running: {}", fmt::join(running, ", ")),
                      "let them end, or say --cancel-tasks");
    return people->store().close(cancel_tasks, people->now());
}

ExitCode close(const CloseOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const driver::Places places = places_of(*spec, options.spec);
    const driver::KeyRing no_key;
    std::optional<base::Error> unkept;  // that everybody is out is on no medium: told at the end, first it is closed
    if (Result<void> out = send_everybody_out(*spec, places, options.cancel_tasks); !out) {
        if (out.error().kind == base::Error::Kind::refused) return report_error(out.error(), options.spec.format);
        unkept = out.error();
    }
    const auto converge = [&]() -> Result<model::Report> {
        const std::chrono::seconds deadline(spec->deadlines.close.value.seconds);
        const Impatience impatience(*spec, places, around, deadline, options.spec.format);
        Result<Convergence> convergence = begin_within(deadline + time_to_get_free, *spec, places, no_key, around);
        if (!convergence) return base::fail(convergence.error());
        const Result<model::Mode> mode = mode_of(*spec, places, std::nullopt);  // now: it may be locked meanwhile
        if (!mode && !unkept) return base::fail(mode.error());
        if (mode && *mode == model::Mode::open && !unkept)
            return base::fail({"close", "safe " + *spec->safe, "meanwhile somebody has opened it again",
                               "safectl status tells who; close it again"});
        const model::Mode shut = mode && *mode == model::Mode::locked ? *mode : model::Mode::closed;
        return close_until_closed(*convergence, *spec, shut, deadline, options.spec.format, around.stop);
    };
    const std::string so_far = fmt::format("{}safe {} is not closed: `safectl apply --mode closed` closes it",
                                           unkept ? "" : "everybody is out, and ", *spec->safe);
    const ExitCode code = exit_code_of_closing(failed_after(converge(), so_far), options.spec.format);
    return unkept ? report_error(*unkept, options.spec.format) : code;
}

}  // namespace

void add_close(Menu& menu) {
    menu.add<CloseOptions>("close", "Close the safe, whatever it takes.", declare, close, Hangup::is_nothing_to_it);
}

}  // namespace safe::cli
