// Apply, whole: look, plan, carry out, and look again, in bounded rounds, until nothing moves. More than one round is
// needed when something could only be seen once another thing was up (deferred), or when the world moved meanwhile.
#pragma once

#include <chrono>

#include "reconciler/applying/executor.hpp"
#include "reconciler/planning/guards.hpp"

namespace safe::applying {

/// What is to be, and what it may cost.
struct Goal {
    const specs::SafeSpec& spec;
    model::Mode mode = model::Mode::closed;
    planning::Limits limits = {};
    bool exactly = false;  // nothing but the plan that was agreed to: what has moved since then is left as it is
    std::vector<model::Refusal> refusals = {};  // found before looking: declared parts for which a plugin is missing
};

/// A look and the plan it leads to.
struct Planned {
    planning::Question question;
    model::Plan plan;
};
[[nodiscard]] Planned look_and_plan(const Goal& goal, DriverSet& drivers, const driver::Context& context);
/// The second half of it, for a look that is at hand. Pure.
[[nodiscard]] Planned plan_from(const Goal& goal, planning::Question question, const DriverSet& drivers);

struct Patience {
    int rounds = 8;                               // at most
    std::chrono::milliseconds deferred{120'000};  // how long something that is up may take to answer
    std::chrono::milliseconds between{1'000};     // looks, while it does not
};

/// Carries out `first` and whatever rounds must follow. A first plan with refusals is not begun. Idempotent.
[[nodiscard]] model::Report apply(const Goal& goal, Planned first, const Execution& execution,
                                  const Patience& patience);

}  // namespace safe::applying
