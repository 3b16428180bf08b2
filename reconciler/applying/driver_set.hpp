// The drivers of one safe, as one: everything declared, everything seen, and the driver that answers for a kind. Owns
// the drivers. look and look_at may be called from several threads at once, as the drivers may.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/planning/planner.hpp"

namespace safe::applying {

/// What one look gave: the planner's question, and the desired resources by id for whoever carries the plan out.
struct Looked {
    planning::Question question;
    std::map<model::ResourceId, model::Resource> desired;
};

class DriverSet final : public planning::Assessor {
 public:
    explicit DriverSet(std::vector<std::unique_ptr<driver::Driver>> drivers);

    /// Desire of every driver, and what each sees; the drivers look side by side. Read only.
    [[nodiscard]] Looked look(const specs::SafeSpec& spec, model::Mode mode, const driver::Context& context);

    /// One resource again. Unknown when no driver answers for its kind. Read only.
    [[nodiscard]] model::Observation look_at(const model::ResourceId& id, const driver::Context& context);

    /// nullptr when no driver answers for it.
    [[nodiscard]] driver::Driver* driver_of(model::Kind kind) const;

    [[nodiscard]] model::Assessment classify(model::Action action, const model::Resource& resource,
                                             const model::Observation& observed,
                                             std::span<const model::Change> changes) const override;
    [[nodiscard]] model::Presence orphan(const model::ResourceId& id, const model::Present& observed,
                                         model::Mode mode) const override;

 private:
    std::vector<std::unique_ptr<driver::Driver>> drivers_;
    std::map<model::Kind, driver::Driver*> by_kind_;
};

}  // namespace safe::applying
