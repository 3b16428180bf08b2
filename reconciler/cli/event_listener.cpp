#include "reconciler/cli/event_listener.hpp"

#include <cstdio>

#include "reconciler/view/view.hpp"

namespace safe::cli {
namespace {

/// Whole lines at once: the stream has no buffer.
void say(const std::string& line) { static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr)); }

}  // namespace

void EventListener::round_started(int round, const model::Plan& plan) {
    say(view::round_json(round, plan.steps.size()));
}

void EventListener::step_started(const model::Step& step) { say(view::started_json(step)); }

void EventListener::step_progress(const model::Step& step, std::string_view line) {
    say(view::progress_json(step, line));
}

void EventListener::step_ended(const model::Step& /*step*/, const model::Outcome& outcome,
                               std::chrono::milliseconds took) {
    say(view::end_json(outcome, took));
}

void EventListener::waiting(const model::Held& deferred) {
    std::string line = view::waiting_json(deferred);
    if (line == waited_for_) return;
    say(line);
    waited_for_ = std::move(line);
}

}  // namespace safe::cli
