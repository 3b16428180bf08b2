// safectl close: converges to *closed*, again and again until nothing is left open. What will not go by the spec's
// deadline is made to.
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "reconciler/cli/convergence.hpp"

namespace safe::cli {
namespace {

using base::Result;
using Clock = std::chrono::steady_clock;

constexpr auto between_tries = std::chrono::seconds(2);
/// How often it is tried with force before a person must look.
constexpr int tries_with_force = 3;

void pause(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, between_tries, [] { return false; });
}

bool is_closed(const model::Report& report) {
    const model::Plan& left = report.remaining;
    return left.steps.empty() && left.unknown.empty() && left.blind.empty() && left.blocked.empty();
}

}  // namespace

Result<model::Report> close_until_closed(Convergence& convergence, model::Mode mode, std::chrono::seconds deadline,
                                         Format format, const std::stop_token& stop) {
    const Clock::time_point end = Clock::now() + deadline;
    int forced = 0;
    for (;;) {
        const bool force = Clock::now() >= end;
        Result<model::Report> report = convergence.run({.mode = mode, .yes = true, .force = force, .format = format});
        if (!report || report->interrupted || is_closed(*report) || stop.stop_requested()) return report;
        // A refused plan stays refused: whoever wrote the spec must act.
        if (!report->remaining.refusals.empty()) return report;
        if (force && ++forced == tries_with_force) return report;
        if (format == Format::text)
            fmt::print("\nnot closed yet: trying again{}\n\n", Clock::now() >= end ? ", with force" : "");
        pause(stop);
    }
}

namespace {

void declare(CLI::App& app, SpecOptions& options) { add_safe(app, options); }

ExitCode close(const SpecOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options);
    if (!spec) return failure;
    const driver::KeyRing no_key;
    const auto converge = [&]() -> Result<model::Report> {
        const Result<model::Mode> mode = mode_of(*spec, specs::WantedMode::closed);
        if (!mode) return base::fail(mode.error());
        Result<Convergence> convergence = Convergence::begin(*spec, places_of(*spec, options), no_key, around);
        if (!convergence) return base::fail(convergence.error());
        const std::chrono::seconds deadline(spec->deadlines.close.value.seconds);
        return close_until_closed(*convergence, *mode, deadline, options.format, around.stop);
    };
    return exit_code_of(converge(), options.format);
}

}  // namespace

void add_close(Menu& menu) { menu.add<SpecOptions>("close", "Close the safe, whatever it takes.", declare, close); }

}  // namespace safe::cli
