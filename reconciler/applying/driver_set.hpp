// The drivers of one safe, as one: everything declared, everything seen, and the driver that answers for a kind. Owns
// the drivers. look and look_at may be called from several threads at once, as the drivers may.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/planning/planner.hpp"

namespace safe::applying {

class DriverSet final : public planning::Assessor {
 public:
    explicit DriverSet(std::vector<std::unique_ptr<driver::Driver>> drivers);

    /// Desire of every driver, and what each sees; the drivers look side by side. Read only.
    [[nodiscard]] planning::Question look(const specs::SafeSpec& spec, model::Mode mode,
                                          const driver::Context& context);

    /// One resource again. Unknown when no driver answers for its kind. Read only.
    [[nodiscard]] model::Observation look_at(const model::ResourceId& id, const driver::Context& context);

    /// Of every driver.
    void wait_no_longer(const driver::Context& context);

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
