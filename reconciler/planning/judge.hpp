// What judges: one verdict a node, in the order that run() says. Inside planning only; verdicts.hpp is the way in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/planning/verdicts.hpp"

namespace safe::planning {

class Judge {
 public:
    Judge(const Graph& graph, const Question& question, const Assessor& assessor, model::Plan& plan)
        : graph_(graph), question_(question), assessor_(assessor), plan_(plan), verdicts_(graph.size()) {}

    [[nodiscard]] std::vector<Verdict> run();

 private:
    struct Obstacle {
        base::Error error;
        std::optional<Node> dormant = std::nullopt;  // it lies in this one alone
        bool later = false;                          // another round may be without it
    };

    // --- each resource by itself (verdicts.cpp)

    void judge_alone(Node node);
    void hold_unknown(Node node, base::Error error);
    void judge_foreign(Node node, const model::Foreign& foreign);
    void judge_present(Node node, const model::Resource& wanted, const model::Present& present);
    void judge_orphan(Node node, const model::Present& present);
    void remove(Node node);
    /// Whether it goes because of the mode, and not because nobody may have it any longer: only then is going on past a
    /// failure the safe thing to do.
    [[nodiscard]] bool closes(Node node) const;
    void assess(Node node, model::Action action);

    // --- nothing rests on what could not be seen (obstacles.cpp)

    /// Takes the wish away from every node that has an obstacle, until no wish rests on a missing one.
    void block();
    void block(Node node, const Obstacle& obstacle);
    [[nodiscard]] std::optional<Obstacle> obstacle_of(Node node) const;
    [[nodiscard]] std::optional<Obstacle> obstacle_below(Node node) const;
    /// What `node` needs; and of what `followed` says, what that needs in turn: a header that is known from its record
    /// is no device yet. Not the image that a disk was made from: that is asked for once.
    [[nodiscard]] std::vector<Node> ground_of(Node node, const std::function<bool(model::Kind)>& followed) const;
    [[nodiscard]] std::optional<Obstacle> obstacle_above(Node node) const;
    /// For what left the file: something may rest on it that left the file too, and cannot be looked for now. A
    /// declared one of that kind that cannot be seen says so as well: both are looked for in one place.
    [[nodiscard]] std::optional<Obstacle> unlisted_above(Node node) const;
    /// A change of `dependent` by which it stops needing `need`.
    [[nodiscard]] bool lets_go(Node dependent, Node need) const;
    [[nodiscard]] base::Error blocked_by(Node node, std::string cause) const;

    // --- steps that need what the mode has put away (put_away.cpp)

    /// Steps that would need what the mode has put away and cannot have it for a moment. A person's key would be needed
    /// for that: they sleep until the safe is open. It cannot be seen: they are blocked. And so is what rests on them.
    void put_to_sleep();
    [[nodiscard]] std::optional<Obstacle> obstacle_away(Node node) const;
    /// What `node` needs and the mode wants absent is brought up for its step and taken down again. Not for one that
    /// waits for a person and is not carried out.
    void hold(Node node);
    /// For a node with a step; closing itself brings nothing up.
    [[nodiscard]] std::vector<Node> put_away_below(Node node) const;
    /// Below `node`, directly or through others: what is wanted absent and is not there.
    void collect_put_away(Node node, std::vector<bool>& visited, std::vector<Node>& away) const;

    // --- changes that must have their dependents down (brackets.cpp)

    /// The changes that bracket others and can go all the way: down, changed, and up again. None is begun before all
    /// are judged, because one that cannot go takes the ground from what the next would bring back.
    std::vector<Node> feasible_brackets();
    void bracket(Node changed);
    /// Nobody gives a key to a plan: commands that have one judge anew.
    [[nodiscard]] base::Error waits(Node changed, std::string cause) const;
    [[nodiscard]] std::optional<base::Error> bracket_obstacle(Node changed) const;
    [[nodiscard]] std::vector<Node> standing_on(Node below) const;
    /// Everything present that needs `below`, directly or through others, but for what outlasts it.
    void collect_standing(Node below, std::vector<bool>& visited, std::vector<Node>& members) const;
    /// It is there, or nobody can tell.
    [[nodiscard]] bool may_stand(Node node) const;
    [[nodiscard]] std::optional<base::Error> bracket_obstacle(Node member, const std::vector<Node>& members,
                                                              Node changed) const;

    const Graph& graph_;
    const Question& question_;
    const Assessor& assessor_;
    model::Plan& plan_;
    std::vector<Verdict> verdicts_;
};

}  // namespace safe::planning
