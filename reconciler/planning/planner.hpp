// From what is wanted and what is seen to a Plan. Pure: no I/O, no clock; the same question gives the same plan, byte
// for byte. The rules, in one place:
//
//   - what a resource needs is created (or changed) before it, and removed after it;
//   - a change that must have its dependents down brackets them: remove, change, add again;
//   - what could not be seen gets no step, and neither does anything that would have to rest on it;
//   - what is not ours is never touched; wanting ours in its place refuses the plan.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "reconciler/model/plan.hpp"
#include "reconciler/model/resource.hpp"

namespace safe::planning {

/// What the planner asks of the drivers. Pure.
class Assessor {
 public:
    Assessor() = default;
    Assessor(const Assessor&) = delete;
    Assessor& operator=(const Assessor&) = delete;
    Assessor(Assessor&&) = delete;
    Assessor& operator=(Assessor&&) = delete;
    virtual ~Assessor() = default;

    [[nodiscard]] virtual model::Assessment classify(model::Action action, const model::Resource& resource,
                                                     const model::Observation& observed,
                                                     std::span<const model::Change> changes) const = 0;
    [[nodiscard]] virtual model::Presence orphan(const model::ResourceId& id, const model::Present& observed,
                                                 model::Mode mode) const = 0;
};

struct Question {
    std::string safe;
    model::Mode mode = model::Mode::closed;
    std::string spec_digest;
    std::vector<model::Resource> desired;  // every declared resource, present or absent
    model::Observations observed;
    std::map<model::Kind, base::Error> blind;  // kinds whose listing failed, and why
    std::vector<model::Refusal> refusals;      // what this build or this host cannot do
    std::vector<std::string> notes;
};

[[nodiscard]] model::Plan make_plan(const Question& question, const Assessor& assessor);

}  // namespace safe::planning
