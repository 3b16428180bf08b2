#include "reconciler/applying/rounds.hpp"

#include <algorithm>
#include <iterator>

#include "reconciler/base/pause.hpp"

namespace safe::applying {
namespace {

using Clock = std::chrono::steady_clock;
using model::Held;
using model::Outcome;
using model::ResourceId;

/// Something deferred whose ground is there: it is only a matter of time. nullptr when there is none.
const Held* soon_to_answer(const Planned& planned) {
    for (const Held& held : planned.plan.deferred) {
        if (!held.on) continue;
        const auto ground = planned.question.observed.find(*held.on);
        if (ground != planned.question.observed.end() && std::holds_alternative<model::Present>(ground->second))
            return &held;
    }
    return nullptr;
}

class Rounds {
 public:
    Rounds(const Goal& goal, const Execution& execution, const Patience& patience)
        : goal_(goal), execution_(execution), patience_(patience) {}

    model::Report run(Planned now) {
        // What later rounds add, nobody has seen: it may cost no more than what was agreed to.
        if (!goal_.limits.max_disruption)
            goal_.limits.max_disruption = std::max(now.plan.disruption(), model::Disruption::live);
        while (!execution_.stop.stop_requested()) {
            // Of what was agreed to, nothing is in a later round.
            if (goal_.exactly && report_.rounds > 0) break;
            if (report_.rounds < patience_.rounds && now.plan.runnable(failed_) > 0)
                carry_out(now);
            else if (const Held* held = soon_to_answer(now); held != nullptr && Clock::now() < give_up_ &&
                                                             std::ranges::none_of(now.plan.steps, &model::Step::closes))
                wait_for(*held);
            else
                break;
            now = look_and_plan(goal_, execution_.drivers, {.stop = execution_.stop});
            if (const base::Result<void> still = goal_.still(); !still) {
                now.plan.refusals.push_back({"mode", still.error()});
                break;
            }
        }
        report_.interrupted = execution_.stop.stop_requested();
        report_.remaining = std::move(now.plan);
        return std::move(report_);
    }

 private:
    void carry_out(const Planned& now) {
        execution_.listener.round_started(++report_.rounds, now.plan);
        Executed executed = execute(now.plan, now.question.desired, failed_, execution_);
        for (Outcome& outcome : executed.outcomes) {
            // Tried once a run: a step that failed by itself would fail again, only later.
            if (outcome.what == Outcome::What::failed && (goal_.exactly || !executed.moved.contains(outcome.resource)))
                failed_.insert(outcome.resource);
            report_.outcomes.push_back(std::move(outcome));
        }
        give_up_ = Clock::now() + patience_.deferred;
    }

    void wait_for(const Held& held) {
        execution_.listener.waiting(held);
        base::pause_for(patience_.between, execution_.stop);
    }

    Goal goal_;
    const Execution& execution_;
    const Patience& patience_;
    model::Report report_;
    std::set<ResourceId> failed_;
    Clock::time_point give_up_ = Clock::now() + patience_.deferred;
};

}  // namespace

Planned look_and_plan(const Goal& goal, DriverSet& drivers, const driver::Context& context) {
    planning::Question question = drivers.look(goal.spec, goal.mode, context);
    std::ranges::copy(goal.refusals, std::back_inserter(question.refusals));
    return plan_from(goal, std::move(question), drivers);
}

Planned plan_from(const Goal& goal, planning::Question question, const DriverSet& drivers) {
    model::Plan plan = planning::make_plan(question, drivers);
    planning::guard(plan, goal.limits);
    return {.question = std::move(question), .plan = std::move(plan)};
}

model::Report apply(const Goal& goal, Planned first, const Execution& execution, const Patience& patience) {
    return Rounds(goal, execution, patience).run(std::move(first));
}

}  // namespace safe::applying
