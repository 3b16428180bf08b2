// Changes that must have everything down which stands on the changed thing: which can go all the way.
#include <algorithm>

#include "reconciler/planning/difference.hpp"
#include "reconciler/planning/judge.hpp"

namespace safe::planning {

using base::Error;
using model::Action;
using model::Observation;
using model::Present;
using model::Resource;
using Want = Verdict::Want;

std::vector<Node> Judge::feasible_brackets() {
    for (bool again = true; again;) {
        again = false;
        for (Node node = 0; node < graph_.size() && !again; ++node) {
            if (!verdicts_[node].brackets()) continue;
            if (const std::optional<Error> obstacle = bracket_obstacle(node)) {
                block(node, {*obstacle});
                block();
                again = true;
            }
        }
    }
    std::vector<Node> changed;
    for (Node node = 0; node < graph_.size(); ++node)
        if (verdicts_[node].brackets()) changed.push_back(node);
    return changed;
}

void Judge::bracket(Node changed) {
    for (const Node member : standing_on(changed)) {
        Verdict& verdict = verdicts_[member];
        verdict.bracket = changed;
        if (verdict.want == Want::remove) continue;
        verdict.want = Want::add;  // its removal comes first; order_steps knows that from `bracket`
        verdict.changes = difference({}, graph_.desired(member)->attributes);
        assess(member, Action::add);
    }
}

Error Judge::waits(Node changed, std::string cause) const {
    Error error = blocked_by(changed, std::move(cause));
    error.advice = "`safectl open --user NAME` brings one";
    return error;
}

std::optional<Error> Judge::bracket_obstacle(Node changed) const {
    const std::vector<Node> members = standing_on(changed);
    if (const auto& missing = verdicts_[changed].assessment.waits_for; missing && !members.empty())
        return waits(changed,
                     "it takes " + *missing + ", and " + to_text(graph_.id(members.front())) + " stands on it");
    for (const Node member : members)
        if (const std::optional<Error> obstacle = bracket_obstacle(member, members, changed)) return obstacle;
    return std::nullopt;
}

std::vector<Node> Judge::standing_on(Node below) const {
    std::vector<Node> members;
    std::vector<bool> visited(graph_.size());
    collect_standing(below, visited, members);
    return members;
}

void Judge::collect_standing(Node below, std::vector<bool>& visited, std::vector<Node>& members) const {
    for (const Node dependent : graph_.dependents(below)) {
        if (visited[dependent]) continue;
        visited[dependent] = true;
        if (!outlasts_its_ground(graph_.id(dependent).kind)) {
            if (!may_stand(dependent)) continue;
            members.push_back(dependent);
        }
        collect_standing(dependent, visited, members);
    }
}

bool Judge::may_stand(Node node) const {
    const Observation* seen = graph_.observed(node);
    if (seen != nullptr && std::holds_alternative<model::Absent>(*seen)) return false;
    return verdicts_[node].unsettled || (seen != nullptr && std::holds_alternative<Present>(*seen));
}

std::optional<Error> Judge::bracket_obstacle(Node member, const std::vector<Node>& members, Node changed) const {
    const std::string name = to_text(graph_.id(member));
    if (verdicts_[member].unsettled) return blocked_by(changed, name + ", which needs it, is not settled");
    if (graph_.desired(member) == nullptr && verdicts_[member].want != Want::remove)
        return blocked_by(changed, name + " has left the file, is kept, and could not be brought back after it");
    if (verdicts_[member].want == Want::remove) {
        if (!verdicts_[member].assessment.keeps_ground) return std::nullopt;
        return blocked_by(changed, name + " is only put to sleep, and stays on it; open the safe and apply again");
    }
    for (const Node need : ground_of(member, outlasts_its_ground))
        if (verdicts_[need].unsettled && std::ranges::find(members, need) == members.end())
            return blocked_by(changed, name + " could not be brought back: " + to_text(graph_.id(need)) +
                                           ", which it needs, is not settled");
    const Resource& wanted = *graph_.desired(member);
    if (const auto missing = assessor_.classify(Action::add, wanted, *graph_.observed(member), {}).waits_for)
        return waits(changed, name + " could not be brought back without " + *missing);
    return std::nullopt;
}

}  // namespace safe::planning
