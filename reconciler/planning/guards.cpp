#include "reconciler/planning/guards.hpp"

#include <string>

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

}  // namespace

void guard(model::Plan& plan, const Limits& limits) {
    for (const Step& step : plan.steps) {
        if (step.disruption == Disruption::irreversible)
            plan.refusals.push_back(refuse_loss(step));
        else if (limits.max_disruption && step.disruption > *limits.max_disruption)
            plan.refusals.push_back(refuse_cost(step, *limits.max_disruption));
    }
}

}  // namespace safe::planning
