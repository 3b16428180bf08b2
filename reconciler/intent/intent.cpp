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

bool is_running(const Task& task, const Now& now) { return now.wall < task.deadline; }

bool holds(const Hold& hold, const Now& now) { return hold.boot == now.boot && now.since_boot < hold.until; }

}  // namespace safe::intent
