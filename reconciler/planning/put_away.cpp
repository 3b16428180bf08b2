// What happens to steps that need what the mode has put away: it is brought up for them, or they wait.
#include "reconciler/planning/difference.hpp"
#include "reconciler/planning/judge.hpp"

namespace safe::planning {

using model::Action;
using model::Observation;
using model::Resource;
using Want = Verdict::Want;

void Judge::put_to_sleep() {
    for (bool again = true; again;) {
        again = false;
        for (Node node = 0; node < graph_.size(); ++node) {
            const std::optional<Obstacle> obstacle = obstacle_away(node);
            if (!obstacle) continue;
            block(node, *obstacle);
            block();
            again = true;
        }
    }
}

std::optional<Judge::Obstacle> Judge::obstacle_away(Node node) const {
    for (const Node need : put_away_below(node)) {
        const Observation* seen = graph_.observed(need);
        if (seen == nullptr || !std::holds_alternative<model::Absent>(*seen))
            return Obstacle{blocked_by(node, to_text(graph_.id(need)) + ", which it needs, is not settled")};
        const Resource& wanted = *graph_.desired(need);
        if (assessor_.classify(Action::add, wanted, *seen, difference({}, wanted.attributes)).waits_for)
            return Obstacle{blocked_by(node, to_text(graph_.id(need)) + " is put away"), need};
    }
    return std::nullopt;
}

void Judge::hold(Node node) {
    if (verdicts_[node].assessment.waits_for) return;
    for (const Node need : put_away_below(node)) {
        Verdict& verdict = verdicts_[need];
        if (verdict.held_for) continue;
        verdict.held_for = node;
        verdict.changes = difference({}, graph_.desired(need)->attributes);
        assess(need, Action::add);
    }
}

std::vector<Node> Judge::put_away_below(Node node) const {
    std::vector<Node> away;
    if (verdicts_[node].want == Want::nothing || verdicts_[node].insists) return away;
    std::vector<bool> visited(graph_.size());
    collect_put_away(node, visited, away);
    return away;
}

void Judge::collect_put_away(Node node, std::vector<bool>& visited, std::vector<Node>& away) const {
    for (const Node need : graph_.standing_needs(node)) {
        if (visited[need]) continue;
        visited[need] = true;
        if (graph_.is_put_away(need) && !graph_.is_there(need)) away.push_back(need);
        collect_put_away(need, visited, away);
    }
}

}  // namespace safe::planning
