#include "reconciler/intent/requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace safe::intent {
namespace {

using base::Error;
using base::Result;

constexpr auto shortest_task = std::chrono::minutes(1);
constexpr std::size_t longest_name = 63;

std::unexpected<Error> refuse(std::string attempt, std::string object, std::string cause, std::string advice) {
    return base::fail(
        {std::move(attempt), std::move(object), std::move(cause), std::move(advice), Error::Kind::refused});
}

/// As of everything that is named in a safe: what reads the same to everybody and in every file.
bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= longest_name && text.front() != '-' && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

const Task* find(const Snapshot& intent, std::string_view name) {
    const auto found = std::ranges::find(intent.tasks, name, &Task::name);
    return found != intent.tasks.end() ? &*found : nullptr;
}

}  // namespace

Result<const specs::UserSpec*> known_user(const specs::SafeSpec& spec, std::string_view name) {
    const auto found = std::ranges::find(spec.users, name, &specs::UserSpec::name);
    if (found != spec.users.end()) return &*found;
    return refuse("use", "the user " + std::string(name), "the spec declares no such user",
                  "look under users: in the spec");
}

Result<const specs::UserSpec*> known_super_user(const specs::SafeSpec& spec, std::string_view name) {
    Result<const specs::UserSpec*> user = known_user(spec, name);
    if (!user || *(*user)->super) return user;
    return refuse("use", "the user " + std::string(name), "they are no super-user", "a user with super: true can");
}

Snapshot of_users(const specs::SafeSpec& spec, Snapshot intent) {
    const auto is_nobody = [&](const std::string& name) {
        if (spec.users.empty() || (spec.vault() == nullptr && name == without_key)) return false;
        return std::ranges::find(spec.users, name, &specs::UserSpec::name) == spec.users.end();
    };
    std::erase_if(intent.sessions, [&](const Session& session) { return is_nobody(session.user); });
    std::erase_if(intent.tasks, [&](const Task& task) { return is_nobody(task.owner); });
    return intent;
}

Result<void> may_open(const specs::SafeSpec& spec, const Snapshot& intent, std::string_view user, const Now& now,
                      bool despite_hold) {
    const std::string who = fmt::format("safe {} for {}", *spec.safe, user);
    if (intent.lock)
        return refuse("open", who, fmt::format("it is locked by {}: {}", intent.lock->by, intent.lock->reason),
                      "a super-user unlocks it: safectl unlock --user NAME");
    if (*spec.mode == specs::WantedMode::locked || *spec.mode == specs::WantedMode::closed)
        return refuse("open", who, fmt::format("{} says mode: {}", to_text(spec.mode.at), specs::to_text(*spec.mode)),
                      "it holds against any login; change the file");
    if (intent.hold && holds(*intent.hold, now) && !despite_hold)
        return refuse(
            "open", who, "it was closed a moment ago, and logins are refused for a while",
            fmt::format("try again in {} s, or say --now",
                        std::chrono::ceil<std::chrono::seconds>(intent.hold->until - now.since_boot).count()));
    return {};
}

Result<Task> new_task(const specs::SafeSpec& spec, const Snapshot& intent, const std::string& name,
                      const std::string& owner, std::chrono::seconds length, const Now& now) {
    const std::string object = "the task " + name;
    if (Result<const specs::UserSpec*> known = known_user(spec, owner); !known) return base::fail(known.error());
    if (!is_name(name))
        return refuse("add", object, "it is no name",
                      fmt::format("1 to {} lower-case letters, digits and hyphens", longest_name));
    if (length < shortest_task || length > longest_task)
        return refuse("add", object, "it is to last less than a minute or more than 7 days",
                      "safectl task add NAME --for 6h");
    Task task{name, owner, now.wall, now.wall + length};
    const Task* old = find(intent, name);
    if (old == nullptr || !is_running(*old, now)) return task;
    if (old->owner != owner) return refuse("add", object, "it is " + old->owner + "'s", "give yours another name");
    if (task.deadline < old->deadline)
        return refuse("add", object, "it runs until " + to_text(old->deadline) + " already",
                      "cancel it to have it end");
    task.created = old->created;
    return task;
}

Result<Task> may_cancel(const specs::SafeSpec& spec, const Snapshot& intent, const std::string& name,
                        std::string_view by) {
    const Task* task = find(intent, name);
    const std::string object = "the task " + name;
    if (task == nullptr) return refuse("cancel", object, "there is none of that name", "safectl task list");
    const Result<const specs::UserSpec*> user = known_user(spec, by);
    if (!user) return base::fail(user.error());
    if (task->owner == by || *(*user)->super) return *task;
    return refuse("cancel", object, "it is " + task->owner + "'s", "its owner can, or a super-user");
}

std::vector<std::string> running_tasks(const Snapshot& intent, const Now& now) {
    std::vector<std::string> names;
    for (const Task& task : intent.tasks)
        if (is_running(task, now)) names.push_back(task.name);
    return names;
}

Result<std::chrono::seconds> parse_length(std::string_view text) {
    std::int64_t count = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    const std::int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 0;
    if (error != std::errc{} || count <= 0 || seconds == 0 || count > 366LL * 86400 / seconds)
        return base::fail(
            {"read the length of time", std::string(text), "it is no number with a unit", "write 45s, 90m, 8h or 2d"});
    return std::chrono::seconds(count * seconds);
}

}  // namespace safe::intent
