// Guards: what may veto a plan that is otherwise possible. Pure. A veto is a Refusal in the plan; the whole plan is
// then refused, never a part of it.
#pragma once

#include <optional>

#include "reconciler/model/plan.hpp"

namespace safe::planning {

struct Limits {
    /// The most that any step may cost; without it everything short of irreversible is allowed.
    std::optional<model::Disruption> max_disruption = std::nullopt;
    /// More than a third of the users may lose their access at once.
    bool allow_mass_removal = false;
};

/// Adds a refusal for each step that would lose something for ever, for each that costs more than `limits` allow, and
/// for a plan that takes away the access of more than a third of the users, or the last keyslot that is known to be
/// there, which nothing allows.
void guard(model::Plan& plan, const Limits& limits);

}  // namespace safe::planning
