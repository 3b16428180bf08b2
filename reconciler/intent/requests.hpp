// What a person may ask for, judged against the spec and against what people want already. Pure: the store carries it
// out. Whether somebody is who they say is not judged here; `proved` tells that they have shown their key.
#pragma once

#include <string>
#include <string_view>

#include "reconciler/base/result.hpp"
#include "reconciler/intent/intent.hpp"
#include "specs/spec.hpp"

namespace safe::intent {

/// A name of the spec's users, or an Error that says so.
[[nodiscard]] base::Result<const specs::UserSpec*> known_user(const specs::SafeSpec& spec, std::string_view name);
/// The same, and a super-user.
[[nodiscard]] base::Result<const specs::UserSpec*> known_super_user(const specs::SafeSpec& spec, std::string_view name);

/// What is left of it without those who are not in the spec: whoever leaves it is out, and what they asked for ends. Of
/// a spec without users, everything.
[[nodiscard]] Snapshot of_users(const specs::SafeSpec& spec, Snapshot intent);

/// Whether the safe may be opened now: not while it is locked (super-users may then reach the service VMs, without
/// opening anything: that is the gateway's), closed by its file, or held after a close. The hold is for
/// what reconnects by itself: a person who asks for it in so many words (`despite_hold`) is let in. `user`: for whom.
[[nodiscard]] base::Result<void> may_open(const specs::SafeSpec& spec, const Snapshot& intent, std::string_view user,
                                          const Now& now, bool despite_hold = false);

/// A new task, or an extension of the owner's own: never a shorter one. 1 minute to 7 days from now.
[[nodiscard]] base::Result<Task> new_task(const specs::SafeSpec& spec, const Snapshot& intent, const std::string& name,
                                          const std::string& owner, std::chrono::seconds length, const Now& now);

/// Who must prove a key to cancel it: its owner, or a super-user.
[[nodiscard]] base::Result<Task> may_cancel(const specs::SafeSpec& spec, const Snapshot& intent,
                                            const std::string& name, std::string_view by);

/// What still runs and keeps the safe from closing, a name each.
[[nodiscard]] std::vector<std::string> running_tasks(const Snapshot& intent, const Now& now);

/// "8h", "90m", "2d", "45s": one number and one unit.
[[nodiscard]] base::Result<std::chrono::seconds> parse_length(std::string_view text);

}  // namespace safe::intent
