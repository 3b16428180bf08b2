#include "reconciler/planning/verdicts.hpp"

#include "reconciler/planning/difference.hpp"
#include "reconciler/planning/judge.hpp"

namespace safe::planning {

using base::Error;
using model::Action;
using model::Observation;
using model::Presence;
using model::Present;
using model::Resource;
using Want = Verdict::Want;

std::vector<Verdict> Judge::run() {
    for (Node node = 0; node < graph_.size(); ++node) judge_alone(node);
    block();
    put_to_sleep();
    const std::vector<Node> changed = feasible_brackets();
    for (const Node node : changed) bracket(node);
    for (Node node = 0; node < graph_.size(); ++node) hold(node);
    return std::move(verdicts_);
}

void Judge::judge_alone(Node node) {
    Verdict& verdict = verdicts_[node];
    const Observation* seen = graph_.observed(node);
    const Resource* wanted = graph_.desired(node);
    if (seen == nullptr) {
        hold_unknown(node, {.attempt = "look at", .object = to_text(graph_.id(node)), .cause = "no driver did"});
    } else if (const auto* unknown = std::get_if<model::Unknown>(seen)) {
        hold_unknown(node, unknown->error);
    } else if (const auto* deferred = std::get_if<model::Deferred>(seen)) {
        verdict.unsettled = true;
        const std::optional<Node> ground = graph_.find(deferred->on);
        verdict.dormant = ground && graph_.is_put_away(*ground) && !graph_.is_there(*ground);
        verdict.later = !verdict.dormant;
        (verdict.dormant ? plan_.dormant : plan_.deferred).push_back({graph_.id(node), deferred->error, deferred->on});
    } else if (const auto* foreign = std::get_if<model::Foreign>(seen)) {
        judge_foreign(node, *foreign);
    } else if (const auto* present = std::get_if<Present>(seen)) {
        wanted != nullptr ? judge_present(node, *wanted, *present) : judge_orphan(node, *present);
    } else if (wanted != nullptr && wanted->presence == Presence::present) {
        verdict.want = Want::add;
        verdict.changes = difference({}, wanted->attributes);
        assess(node, Action::add);
    }
}

void Judge::hold_unknown(Node node, Error error) {
    verdicts_[node].unsettled = true;
    plan_.unknown.push_back({graph_.id(node), std::move(error)});
}

void Judge::judge_foreign(Node node, const model::Foreign& foreign) {
    const Resource* wanted = graph_.desired(node);
    if (wanted == nullptr || wanted->presence == Presence::absent) return;
    verdicts_[node].unsettled = true;
    plan_.refusals.push_back({.subject = to_text(graph_.id(node)),
                              .error = {.attempt = "take over",
                                        .object = to_text(graph_.id(node)),
                                        .cause = foreign.what,
                                        .advice = foreign.advice,
                                        .kind = Error::Kind::refused}});
}

void Judge::judge_present(Node node, const Resource& wanted, const Present& present) {
    Verdict& verdict = verdicts_[node];
    if (wanted.presence == Presence::absent) {
        remove(node);
        return;
    }
    verdict.changes = difference(present.attributes, wanted.attributes);
    if (verdict.changes.empty()) return;
    verdict.want = Want::change;
    assess(node, Action::change);
}

void Judge::judge_orphan(Node node, const Present& present) {
    if (assessor_.orphan(graph_.id(node), present, question_.mode) == Presence::present) {
        plan_.orphaned.push_back(graph_.id(node));
        return;
    }
    remove(node);
}

void Judge::remove(Node node) {
    verdicts_[node].want = Want::remove;
    verdicts_[node].insists = closes(node);
    assess(node, Action::remove);
}

bool Judge::closes(Node node) const {
    if (question_.mode == model::Mode::open) return false;
    if (graph_.desired(node) != nullptr) return graph_.is_put_away(node);
    const auto* present = std::get_if<Present>(graph_.observed(node));
    return present != nullptr && assessor_.orphan(graph_.id(node), *present, model::Mode::open) == Presence::present;
}

void Judge::assess(Node node, Action action) {
    Verdict& verdict = verdicts_[node];
    const Resource undeclared{.id = graph_.id(node)};
    const Resource* wanted = graph_.desired(node);
    verdict.assessment =
        assessor_.classify(action, wanted != nullptr ? *wanted : undeclared, *graph_.observed(node), verdict.changes);
}

std::vector<Verdict> judge(const Graph& graph, const Question& question, const Assessor& assessor, model::Plan& plan) {
    return Judge(graph, question, assessor, plan).run();
}

}  // namespace safe::planning
