// Apply, whole: look, plan, carry out, and look again, in bounded rounds, until nothing moves. More than one round is
// needed when something could only be seen once another thing was up (deferred), or when the world moved meanwhile.
#pragma once

#include <chrono>
#include <functional>

#include "reconciler/applying/executor.hpp"
#include "reconciler/planning/guards.hpp"

namespace safe::applying {

/// What is to be, and what it may cost.
struct Goal {
    const specs::SafeSpec& spec;
    model::Mode mode = model::Mode::closed;
    planning::Limits limits = {};
    bool exactly = false;  // one round, of the plan that was agreed to: what moved, or is seen only later, is left
    std::vector<model::Refusal> refusals = {};  // found before looking: declared parts for which a plugin is missing
    /// Asked before each round but the first: an Error when people want something else meanwhile. What it says is then
    /// among the refusals of what remains.
    std::function<base::Result<void>()> still = [] { return base::Result<void>{}; };
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

/// Carries out `first` and whatever rounds must follow; of a plan with refusals, what closes. While something is left
/// to close, nothing that is deferred is waited for. Idempotent.
[[nodiscard]] model::Report apply(const Goal& goal, Planned first, const Execution& execution,
                                  const Patience& patience);

}  // namespace safe::applying
