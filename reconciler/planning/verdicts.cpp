#include "reconciler/planning/verdicts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>

#include "reconciler/planning/difference.hpp"

namespace safe::planning {
namespace {

using base::Error;
using model::Action;
using model::Observation;
using model::Presence;
using model::Present;
using model::Resource;
using Want = Verdict::Want;

/// The kind of which something undeclared may still rest on one of `kind`: where it cannot be looked for, nothing of
/// `kind` that left the file goes. A member's keyslot outlives their line in it, and goes before their account.
std::optional<model::Kind> kind_resting_on(model::Kind kind) {
    return kind == model::Kind::account ? std::optional(model::Kind::keyslot) : std::nullopt;
}

class Judge {
 public:
    Judge(const Graph& graph, const Question& question, const Assessor& assessor, model::Plan& plan)
        : graph_(graph), question_(question), assessor_(assessor), plan_(plan), verdicts_(graph.size()) {}

    std::vector<Verdict> run() {
        for (Node node = 0; node < graph_.size(); ++node) judge_alone(node);
        block();
        put_to_sleep();
        const std::vector<Node> changed = feasible_brackets();
        for (const Node node : changed) bracket(node);
        for (Node node = 0; node < graph_.size(); ++node) hold(node);
        return std::move(verdicts_);
    }

 private:
    // --- each resource by itself

    void judge_alone(Node node) {
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
            (verdict.dormant ? plan_.dormant : plan_.deferred)
                .push_back({graph_.id(node), deferred->error, deferred->on});
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

    void hold_unknown(Node node, Error error) {
        verdicts_[node].unsettled = true;
        plan_.unknown.push_back({graph_.id(node), std::move(error)});
    }

    void judge_foreign(Node node, const model::Foreign& foreign) {
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

    void judge_present(Node node, const Resource& wanted, const Present& present) {
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

    void judge_orphan(Node node, const Present& present) {
        if (assessor_.orphan(graph_.id(node), present, question_.mode) == Presence::present) {
            plan_.orphaned.push_back(graph_.id(node));
            return;
        }
        remove(node);
    }

    void remove(Node node) {
        verdicts_[node].want = Want::remove;
        verdicts_[node].insists = closes(node);
        assess(node, Action::remove);
    }

    /// Whether it goes because of the mode, and not because nobody may have it any longer: only then is going on past a
    /// failure the safe thing to do.
    [[nodiscard]] bool closes(Node node) const {
        if (question_.mode == model::Mode::open) return false;
        if (graph_.desired(node) != nullptr) return graph_.is_put_away(node);
        const auto* present = std::get_if<Present>(graph_.observed(node));
        return present != nullptr &&
               assessor_.orphan(graph_.id(node), *present, model::Mode::open) == Presence::present;
    }

    void assess(Node node, Action action) {
        Verdict& verdict = verdicts_[node];
        const Resource undeclared{.id = graph_.id(node)};
        const Resource* wanted = graph_.desired(node);
        verdict.assessment = assessor_.classify(action, wanted != nullptr ? *wanted : undeclared,
                                                *graph_.observed(node), verdict.changes);
    }

    // --- nothing rests on what could not be seen

    struct Obstacle {
        Error error;
        std::optional<Node> dormant = std::nullopt;  // it lies in this one alone
    };

    /// Takes the wish away from every node that has an obstacle, until no wish rests on a missing one.
    void block() {
        for (bool again = true; again;) {
            again = false;
            for (Node node = 0; node < graph_.size(); ++node) {
                const std::optional<Obstacle> obstacle = obstacle_of(node);
                if (!obstacle) continue;
                block(node, *obstacle);
                again = true;
            }
        }
    }

    void block(Node node, const Obstacle& obstacle) {
        Verdict& verdict = verdicts_[node];
        const bool closes = verdict.want == Want::remove && verdict.insists;
        verdict.want = Want::nothing;
        verdict.unsettled = true;
        verdict.dormant = obstacle.dormant.has_value();
        if (verdict.dormant)
            plan_.dormant.push_back({graph_.id(node), obstacle.error, graph_.id(*obstacle.dormant)});
        else
            plan_.blocked.push_back({.resource = graph_.id(node), .error = obstacle.error, .closes = closes});
    }

    [[nodiscard]] std::optional<Obstacle> obstacle_of(Node node) const {
        switch (verdicts_[node].want) {
            case Want::nothing:
                return std::nullopt;
            case Want::add:
            case Want::change:
                return obstacle_below(node);
            case Want::remove:
                return obstacle_above(node);
        }
        return std::nullopt;
    }

    [[nodiscard]] std::optional<Obstacle> obstacle_below(Node node) const {
        std::optional<Obstacle> asleep;
        for (const Node need : ground_of(node, [](model::Kind kind) { return kind == model::Kind::container; })) {
            if (!verdicts_[need].unsettled) continue;
            const Error error = blocked_by(node, to_text(graph_.id(need)) + ", which it needs, is not settled");
            if (!verdicts_[need].dormant) return Obstacle{error};
            asleep = Obstacle{error, need};
        }
        return asleep;
    }

    /// What `node` needs; and of what `followed` says, what that needs in turn: a header that is known from its record
    /// is no device yet. Not the image that a disk was made from: that is asked for once.
    [[nodiscard]] std::vector<Node> ground_of(Node node, const std::function<bool(model::Kind)>& followed) const {
        std::vector<Node> ground = graph_.wanted_needs(node);
        for (std::size_t at = 0; at < ground.size(); ++at) {
            if (!followed(graph_.id(ground[at]).kind)) continue;
            for (const Node need : graph_.wanted_needs(ground[at]))
                if (graph_.id(need).kind != model::Kind::image && std::ranges::find(ground, need) == ground.end())
                    ground.push_back(need);
        }
        return ground;
    }

    [[nodiscard]] std::optional<Obstacle> obstacle_above(Node node) const {
        const auto blind = question_.blind.find(graph_.id(node).kind);
        const bool declared = verdicts_[node].insists && graph_.is_put_away(node);
        if (blind != question_.blind.end() && !declared) return Obstacle{blocked_by(node, to_text(blind->second))};
        if (std::optional<Obstacle> unlisted = unlisted_above(node)) return unlisted;
        for (const Node dependent : graph_.dependents(node)) {
            const Verdict& verdict = verdicts_[dependent];
            const std::string name = to_text(graph_.id(dependent));
            // Whoever is wanted in a mode that puts this one away can be without it (a header, while its disk is away).
            const Resource* wanted = graph_.desired(dependent);
            if (wanted != nullptr && wanted->presence == Presence::present && graph_.is_put_away(node)) continue;
            if (verdict.unsettled) {
                if (verdicts_[node].insists) continue;  // tried after it, and refused by the system where it is in use
                return Obstacle{blocked_by(node, name + ", which needs it, is not settled")};
            }
            if (graph_.is_there(dependent) && verdict.want != Want::remove && !lets_go(dependent, node))
                return Obstacle{blocked_by(node, name + " is there and still needs it")};
        }
        return std::nullopt;
    }

    /// For what left the file: something may rest on it that left the file too, and cannot be looked for now. A
    /// declared one of that kind that cannot be seen says so as well: both are looked for in one place.
    [[nodiscard]] std::optional<Obstacle> unlisted_above(Node node) const {
        const std::optional<model::Kind> kind = kind_resting_on(graph_.id(node).kind);
        if (!kind || graph_.desired(node) != nullptr) return std::nullopt;
        if (const auto blind = question_.blind.find(*kind); blind != question_.blind.end())
            return Obstacle{blocked_by(node, to_text(blind->second))};
        for (Node other = 0; other < graph_.size(); ++other) {
            const Observation* seen = graph_.observed(other);
            if (graph_.id(other).kind != *kind || seen == nullptr) continue;
            std::optional<Node> ground;
            if (const auto* deferred = std::get_if<model::Deferred>(seen); deferred != nullptr)
                ground = verdicts_[other].dormant ? graph_.find(deferred->on) : std::nullopt;
            else if (!std::holds_alternative<model::Unknown>(*seen))
                continue;
            return Obstacle{blocked_by(node, fmt::format("{} cannot be seen, nor whether {} has one",
                                                         to_text(graph_.id(other)), to_text(graph_.id(node)))),
                            ground};
        }
        return std::nullopt;
    }

    /// A change of `dependent` by which it stops needing `need`.
    [[nodiscard]] bool lets_go(Node dependent, Node need) const {
        return verdicts_[dependent].want == Want::change &&
               !std::ranges::binary_search(graph_.wanted_needs(dependent), need);
    }

    [[nodiscard]] Error blocked_by(Node node, std::string cause) const {
        return {
            .attempt = verdicts_[node].assessment.verb, .object = to_text(graph_.id(node)), .cause = std::move(cause)};
    }

    // --- steps that need what the mode has put away

    /// Steps that would need what the mode has put away and cannot have it for a moment. A person's key would be needed
    /// for that: they sleep until the safe is open. It cannot be seen: they are blocked. And so is what rests on them.
    void put_to_sleep() {
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

    [[nodiscard]] std::optional<Obstacle> obstacle_away(Node node) const {
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

    /// What `node` needs and the mode wants absent is brought up for its step and taken down again. Not for one that
    /// waits for a person and is not carried out.
    void hold(Node node) {
        if (verdicts_[node].assessment.waits_for) return;
        for (const Node need : put_away_below(node)) {
            Verdict& verdict = verdicts_[need];
            if (verdict.held_for) continue;
            verdict.held_for = node;
            verdict.changes = difference({}, graph_.desired(need)->attributes);
            assess(need, Action::add);
        }
    }

    /// For a node with a step; closing itself brings nothing up.
    [[nodiscard]] std::vector<Node> put_away_below(Node node) const {
        std::vector<Node> away;
        if (verdicts_[node].want == Want::nothing || verdicts_[node].insists) return away;
        std::vector<bool> visited(graph_.size());
        collect_put_away(node, visited, away);
        return away;
    }

    /// Below `node`, directly or through others: what is wanted absent and is not there.
    void collect_put_away(Node node, std::vector<bool>& visited, std::vector<Node>& away) const {
        for (const Node need : graph_.standing_needs(node)) {
            if (visited[need]) continue;
            visited[need] = true;
            if (graph_.is_put_away(need) && !graph_.is_there(need)) away.push_back(need);
            collect_put_away(need, visited, away);
        }
    }

    // --- changes that must have their dependents down

    /// The changes that bracket others and can go all the way: down, changed, and up again. None is begun before all
    /// are judged, because one that cannot go takes the ground from what the next would bring back.
    std::vector<Node> feasible_brackets() {
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

    void bracket(Node changed) {
        for (const Node member : standing_on(changed)) {
            Verdict& verdict = verdicts_[member];
            verdict.bracket = changed;
            if (verdict.want == Want::remove) continue;
            verdict.want = Want::add;  // its removal comes first; order_steps knows that from `bracket`
            verdict.changes = difference({}, graph_.desired(member)->attributes);
            assess(member, Action::add);
        }
    }

    /// Nobody gives a key to a plan: commands that have one judge anew.
    [[nodiscard]] Error waits(Node changed, std::string cause) const {
        Error error = blocked_by(changed, std::move(cause));
        error.advice = "`safectl open --user NAME` brings one";
        return error;
    }

    [[nodiscard]] std::optional<Error> bracket_obstacle(Node changed) const {
        const std::vector<Node> members = standing_on(changed);
        if (const auto& missing = verdicts_[changed].assessment.waits_for; missing && !members.empty())
            return waits(changed,
                         "it takes " + *missing + ", and " + to_text(graph_.id(members.front())) + " stands on it");
        for (const Node member : members)
            if (const std::optional<Error> obstacle = bracket_obstacle(member, members, changed)) return obstacle;
        return std::nullopt;
    }

    [[nodiscard]] std::vector<Node> standing_on(Node below) const {
        std::vector<Node> members;
        std::vector<bool> visited(graph_.size());
        collect_standing(below, visited, members);
        return members;
    }

    /// Everything present that needs `below`, directly or through others, but for what outlasts it.
    void collect_standing(Node below, std::vector<bool>& visited, std::vector<Node>& members) const {
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

    /// It is there, or nobody can tell.
    [[nodiscard]] bool may_stand(Node node) const {
        const Observation* seen = graph_.observed(node);
        if (seen != nullptr && std::holds_alternative<model::Absent>(*seen)) return false;
        return verdicts_[node].unsettled || (seen != nullptr && std::holds_alternative<Present>(*seen));
    }

    [[nodiscard]] std::optional<Error> bracket_obstacle(Node member, const std::vector<Node>& members,
                                                        Node changed) const {
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

    const Graph& graph_;
    const Question& question_;
    const Assessor& assessor_;
    model::Plan& plan_;
    std::vector<Verdict> verdicts_;
};

}  // namespace

std::vector<Verdict> judge(const Graph& graph, const Question& question, const Assessor& assessor, model::Plan& plan) {
    return Judge(graph, question, assessor, plan).run();
}

}  // namespace safe::planning
