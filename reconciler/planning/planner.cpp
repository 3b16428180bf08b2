#include "reconciler/planning/planner.hpp"

#include <algorithm>
#include <future>

#include "reconciler/planning/difference.hpp"
#include "reconciler/planning/graph.hpp"
#include "reconciler/planning/ordering.hpp"
#include "reconciler/planning/verdicts.hpp"

namespace safe::planning {
namespace {

using model::Plan;
using model::Resource;

constexpr std::size_t many = 1000;

std::map<model::ResourceId, std::string> digests_of(const model::Observations& observed) {
    std::map<model::ResourceId, std::string> digests;
    for (const auto& [id, observation] : observed) digests.emplace_hint(digests.end(), id, digest(observation));
    return digests;
}

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
    for (const auto& [kind, error] : question.blind)
        if (const auto same = std::ranges::find(plan.blind, error, &model::Blind::error); same != plan.blind.end())
            same->kinds.push_back(kind);
        else
            plan.blind.push_back({error, {kind}});
    return plan;
}

}  // namespace

Plan make_plan(const Question& question, const Assessor& assessor) {
    // Beside the judgement: for thousands of accounts one takes as long as the other.
    const auto when = question.observed.size() < many ? std::launch::deferred : std::launch::async;
    std::future<std::map<model::ResourceId, std::string>> digests =
        std::async(when, [&question] { return digests_of(question.observed); });
    Plan plan = heading(question);
    const Graph graph(question.desired, question.observed);
    const std::vector<Verdict> verdicts = judge(graph, question, assessor, plan);
    order_steps(graph, verdicts, question, assessor, plan);
    plan.observed = digests.get();
    return plan;
}

}  // namespace safe::planning
