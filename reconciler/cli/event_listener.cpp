#include "reconciler/cli/event_listener.hpp"

#include <poll.h>
#include <unistd.h>

#include <climits>

#include "reconciler/view/view.hpp"

namespace safe::cli {
namespace {

/// A whole line or nothing. A pipe that can be written to takes PIPE_BUF bytes at once (pipe(7)).
void tell(const std::string& line) {
    pollfd reader{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (line.size() > PIPE_BUF || ::poll(&reader, 1, 0) != 1 || reader.revents != POLLOUT) return;
    static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
}

}  // namespace

void EventListener::round_started(int round, const model::Plan& plan) {
    tell(view::round_json(round, plan.steps.size()));
}

void EventListener::step_started(const model::Step& step) { tell(view::started_json(step)); }

void EventListener::step_progress(const model::Step& step, std::string_view line) {
    tell(view::progress_json(step, line));
}

void EventListener::step_ended(const model::Step& /*step*/, const model::Outcome& outcome,
                               std::chrono::milliseconds took) {
    tell(view::end_json(outcome, took));
}

void EventListener::waiting(const model::Held& deferred) {
    std::string line = view::waiting_json(deferred);
    if (line == waited_for_) return;
    tell(line);
    waited_for_ = std::move(line);
}

}  // namespace safe::cli
