#include "reconciler/intent/intent.hpp"

#include <algorithm>

namespace safe::intent {

std::optional<BootTime> end_of(const Session& session, const Now& now) {
    if (session.boot != now.boot) return std::nullopt;
    const BootTime by_itself = session.until ? *session.until : session.renewed + lease;
    return session.ended ? std::min(*session.ended, by_itself) : by_itself;
}

bool is_live(const Session& session, const Now& now) {
    const std::optional<BootTime> end = end_of(session, now);
    return end && now.since_boot < *end;
}

bool is_running(const Task& task, const Now& now) {
    // A clock that is set a little does not end a task, and one that is set far back brings none back that is over.
    constexpr auto set_right = std::chrono::hours(1);
    return now.wall < task.deadline && now.wall >= task.created - set_right;
}

bool holds(const Hold& hold, const Now& now) { return hold.boot == now.boot && now.since_boot < hold.until; }

}  // namespace safe::intent
