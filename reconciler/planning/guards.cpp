#include "reconciler/planning/guards.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace safe::planning {
namespace {

using model::Disruption;
using model::Step;

model::Refusal refuse_loss(const Step& step) {
    return {.subject = to_text(step.resource),
            .error = {.attempt = step.verb,
                      .object = to_text(step.resource),
                      .cause = "it would lose " + step.destroys + " for ever",
                      .advice = "put the spec back as it was, or declare it under another name and move the data over",
                      .kind = base::Error::Kind::refused}};
}

model::Refusal refuse_cost(const Step& step, Disruption limit) {
    return {.subject = to_text(step.resource),
            .error = {.attempt = step.verb,
                      .object = to_text(step.resource),
                      .cause = "its disruption is " + std::string(to_text(step.disruption)) + ", more than the " +
                               std::string(to_text(limit)) + " that was agreed to",
                      .advice = "apply again with --max-disruption " + std::string(to_text(step.disruption)) +
                                " when that suits the people inside",
                      .kind = base::Error::Kind::refused}};
}

// --- users

/// How many different ones.
std::size_t count(std::vector<std::string> names) {
    std::ranges::sort(names);
    return names.size() - std::ranges::unique(names).size();
}

/// Accounts and keyslots are named by their user last.
bool is_access(const model::ResourceId& id) {
    return id.kind == model::Kind::account || id.kind == model::Kind::keyslot;
}

/// Those that come back at once are not taken away.
std::set<model::ResourceId> removals(const model::Plan& plan) {
    std::set<model::ResourceId> removed;
    for (const Step& step : plan.steps)
        if (step.action == model::Action::remove && !step.bracket) removed.insert(step.resource);
    return removed;
}

bool is_held(const std::vector<model::Held>& held, const model::ResourceId& id) {
    return std::ranges::find(held, id, &model::Held::resource) != held.end();
}

/// What was seen to be there. What nobody could look at does not count as a user who stays.
std::vector<const model::ResourceId*> seen_accesses(const model::Plan& plan) {
    static const std::string absent = digest(model::Observation(model::Absent{}));
    std::vector<const model::ResourceId*> seen;
    for (const auto& [id, observed] : plan.observed)
        if (is_access(id) && observed != absent && !is_held(plan.unknown, id) && !is_held(plan.deferred, id))
            seen.push_back(&id);
    return seen;
}

void guard_users(model::Plan& plan, const Limits& limits) {
    std::vector<std::string> accesses;
    std::vector<std::string> lost;
    int keyslots = 0;
    int keyslots_leaving = 0;
    const std::set<model::ResourceId> going = removals(plan);
    for (const model::ResourceId* access : seen_accesses(plan)) {
        const model::ResourceId& id = *access;
        const bool removed = going.contains(id);
        accesses.push_back(id.name());
        if (removed) lost.push_back(id.name());
        if (id.kind != model::Kind::keyslot) continue;
        ++keyslots;
        if (removed) ++keyslots_leaving;
    }
    const std::size_t users = count(std::move(accesses));
    const std::size_t leaving = count(std::move(lost));
    const auto refuse = [&](std::string cause, std::string advice) {
        plan.refusals.push_back(
            {.subject = "users",
             .error = {.attempt = "take away the access of",
                       .object = std::to_string(leaving) + " of " + std::to_string(users) + " users",
                       .cause = std::move(cause),
                       .advice = std::move(advice),
                       .kind = base::Error::Kind::refused}});
    };
    if (keyslots_leaving > 0 && keyslots_leaving == keyslots)
        refuse("nobody could open the vault any more", "keep somebody who is enrolled, or enrol somebody else first");
    if (!limits.allow_mass_removal && leaving * 3 > users)
        refuse("that is more than a third of them at once",
               "look again at users: in the spec; if that is meant, apply with --allow-mass-removal");
}

}  // namespace

void guard(model::Plan& plan, const Limits& limits) {
    for (const Step& step : plan.steps) {
        if (step.disruption == Disruption::irreversible)
            plan.refusals.push_back(refuse_loss(step));
        else if (limits.max_disruption && step.disruption > *limits.max_disruption)
            plan.refusals.push_back(refuse_cost(step, *limits.max_disruption));
    }
    guard_users(plan, limits);
}

}  // namespace safe::planning
