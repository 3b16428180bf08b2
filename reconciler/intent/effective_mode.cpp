#include "reconciler/intent/effective_mode.hpp"

#include <fmt/format.h>

#include <chrono>
#include <set>

#include "reconciler/intent/requests.hpp"

namespace safe::intent {
namespace {

using model::Mode;

std::vector<std::string> why_open(std::chrono::seconds linger, const Snapshot& intent, const Now& now) {
    std::set<std::string> inside;
    std::set<std::string> left;
    for (const Session& session : intent.sessions) {
        const std::optional<BootTime> end = end_of(session, now);
        if (!end) continue;
        if (now.since_boot < *end)
            inside.insert(session.user);
        else if (now.since_boot < *end + linger)
            left.insert(session.user);
    }
    std::vector<std::string> reasons;
    reasons.reserve(inside.size() + intent.tasks.size() + left.size());
    for (const std::string& user : inside) reasons.push_back(user + " is inside");
    for (const Task& task : intent.tasks)
        if (is_running(task, now))
            reasons.push_back(
                fmt::format("the task {} of {} runs until {}", task.name, task.owner, to_text(task.deadline)));
    for (const std::string& user : left)
        if (!inside.contains(user)) reasons.push_back(fmt::format("{} left less than {} s ago", user, linger.count()));
    return reasons;
}

}  // namespace

Effective effective_mode(const specs::SafeSpec& spec, const Snapshot& intent, const Now& now) {
    if (intent.lock)
        return {
            Mode::locked,
            {fmt::format("locked by {} at {}: {}", intent.lock->by, to_text(intent.lock->at), intent.lock->reason)}};
    switch (*spec.mode) {
        case specs::WantedMode::locked:
            return {Mode::locked, {"the file says mode: locked"}};
        case specs::WantedMode::closed:
            return {Mode::closed, {"the file says mode: closed"}};
        case specs::WantedMode::open:
            return {Mode::open, {"the file says mode: open"}};
        case specs::WantedMode::automatic:
            break;
    }
    std::vector<std::string> reasons =
        why_open(std::chrono::seconds(spec.linger->seconds), of_users(spec, intent), now);
    if (reasons.empty()) return {Mode::closed, {"nobody is inside and no task runs"}};
    return {Mode::open, std::move(reasons)};
}

model::Mode effective_mode(specs::WantedMode wanted) {
    specs::SafeSpec spec;
    spec.mode.value = wanted;
    return effective_mode(spec, {}, {}).mode;
}

}  // namespace safe::intent
