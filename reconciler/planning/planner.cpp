#include "reconciler/planning/planner.hpp"

#include <algorithm>

#include "reconciler/planning/difference.hpp"
#include "reconciler/planning/graph.hpp"
#include "reconciler/planning/ordering.hpp"
#include "reconciler/planning/verdicts.hpp"

namespace safe::planning {
namespace {

using model::Plan;
using model::Resource;

Plan heading(const Question& question) {
    Plan plan;
    plan.safe = question.safe;
    plan.mode = question.mode;
    plan.spec_digest = question.spec_digest;
    plan.refusals = question.refusals;
    plan.notes = question.notes;
    for (const Resource& resource : question.desired)
        if (resource.presence == model::Presence::present)
            plan.notes.insert(plan.notes.end(), resource.notes.begin(), resource.notes.end());
    for (const auto& [id, observation] : question.observed)
        plan.observed.emplace_hint(plan.observed.end(), id, digest(observation));
    for (const auto& [kind, error] : question.blind)
        if (std::ranges::find(plan.blind, error) == plan.blind.end()) plan.blind.push_back(error);
    return plan;
}

}  // namespace

Plan make_plan(const Question& question, const Assessor& assessor) {
    Plan plan = heading(question);
    const Graph graph(question.desired, question.observed);
    const std::vector<Verdict> verdicts = judge(graph, question, assessor, plan);
    order_steps(graph, verdicts, question, assessor, plan);
    return plan;
}

}  // namespace safe::planning
