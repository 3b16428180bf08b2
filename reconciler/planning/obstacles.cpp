// What must not happen, because something that it rests on, or that rests on it, could not be seen.
#include <fmt/format.h>

#include <algorithm>

#include "reconciler/planning/judge.hpp"

namespace safe::planning {

using base::Error;
using model::Observation;
using model::Presence;
using model::Resource;
using Want = Verdict::Want;

namespace {

/// The kind of which something undeclared may still rest on one of `kind`: where it cannot be looked for, nothing of
/// `kind` that left the file goes. A member's keyslot outlives their line in it, and goes before their account.
std::optional<model::Kind> kind_resting_on(model::Kind kind) {
    return kind == model::Kind::account ? std::optional(model::Kind::keyslot) : std::nullopt;
}

}  // namespace

void Judge::block() {
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

void Judge::block(Node node, const Obstacle& obstacle) {
    Verdict& verdict = verdicts_[node];
    const bool closes = verdict.want == Want::remove && verdict.insists;
    verdict.want = Want::nothing;
    verdict.unsettled = true;
    verdict.later = obstacle.later;
    verdict.dormant = obstacle.dormant.has_value();
    if (verdict.dormant)
        plan_.dormant.push_back({graph_.id(node), obstacle.error, graph_.id(*obstacle.dormant)});
    else
        plan_.blocked.push_back({.resource = graph_.id(node), .error = obstacle.error, .closes = closes});
}

std::optional<Judge::Obstacle> Judge::obstacle_of(Node node) const {
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

std::optional<Judge::Obstacle> Judge::obstacle_below(Node node) const {
    std::optional<Obstacle> asleep;
    for (const Node need : ground_of(node, [](model::Kind kind) { return kind == model::Kind::container; })) {
        if (!verdicts_[need].unsettled) continue;
        const Error error = blocked_by(node, to_text(graph_.id(need)) + ", which it needs, is not settled");
        if (!verdicts_[need].dormant) return Obstacle{error, std::nullopt, verdicts_[need].later};
        asleep = Obstacle{error, need};
    }
    if (asleep || verdicts_[node].want == Want::change) return asleep;
    // What only comes after it keeps its place in the rounds of this run, and waits for nothing else.
    for (const Node earlier : graph_.wanted_after(node))
        if (verdicts_[earlier].later)
            return Obstacle{blocked_by(node, to_text(graph_.id(earlier)) + ", which comes first, is not settled yet"),
                            std::nullopt, true};
    return std::nullopt;
}

std::vector<Node> Judge::ground_of(Node node, const std::function<bool(model::Kind)>& followed) const {
    std::vector<Node> ground = graph_.wanted_needs(node);
    for (std::size_t at = 0; at < ground.size(); ++at) {
        if (!followed(graph_.id(ground[at]).kind)) continue;
        for (const Node need : graph_.wanted_needs(ground[at]))
            if (graph_.id(need).kind != model::Kind::image && std::ranges::find(ground, need) == ground.end())
                ground.push_back(need);
    }
    return ground;
}

std::optional<Judge::Obstacle> Judge::obstacle_above(Node node) const {
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
        if (!graph_.rests_on(dependent, node)) continue;
        if (verdict.unsettled) {
            if (verdicts_[node].insists) continue;  // tried after it, and refused by the system where it is in use
            return Obstacle{blocked_by(node, name + ", which needs it, is not settled")};
        }
        if (graph_.is_there(dependent) && verdict.want != Want::remove && !lets_go(dependent, node))
            return Obstacle{blocked_by(node, name + " is there and still needs it")};
    }
    return std::nullopt;
}

std::optional<Judge::Obstacle> Judge::unlisted_above(Node node) const {
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

bool Judge::lets_go(Node dependent, Node need) const {
    return verdicts_[dependent].want == Want::change &&
           !std::ranges::binary_search(graph_.wanted_needs(dependent), need);
}

Error Judge::blocked_by(Node node, std::string cause) const {
    return {.attempt = verdicts_[node].assessment.verb, .object = to_text(graph_.id(node)), .cause = std::move(cause)};
}

}  // namespace safe::planning
