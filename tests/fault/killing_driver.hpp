// A driver that is killed: passes everything on to a real one, and ends the whole process with SIGKILL before, inside
// or after one chosen call of apply. What it leaves behind is what a power cut or an impatient operator leaves behind.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "reconciler/driver/driver.hpp"

namespace safe::testing {

struct KillPoint {
    enum class When { before, inside, after };
    std::string step;  // "add vm/desktop"
    When when = When::before;
    std::chrono::microseconds into{0};  // inside: how long after the call began
};

[[nodiscard]] inline std::string step_name(const model::Step& step) {
    return std::string(to_text(step.action)) + " " + to_text(step.resource);
}

class KillingDriver final : public driver::Driver {
 public:
    KillingDriver(std::unique_ptr<driver::Driver> real, std::optional<KillPoint> point)
        : real_(std::move(real)), point_(std::move(point)) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return real_->kinds(); }
    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode mode) const override {
        return real_->desire(spec, mode);
    }
    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& context) override {
        return real_->observe(scope, context);
    }
    [[nodiscard]] model::Assessment classify(model::Action action, const model::Resource& resource,
                                             const model::Observation& observed,
                                             std::span<const model::Change> changes) const override {
        return real_->classify(action, resource, observed, changes);
    }
    [[nodiscard]] model::Presence orphan(const model::ResourceId& id, const model::Present& observed,
                                         model::Mode mode) const override {
        return real_->orphan(id, observed, mode);
    }
    [[nodiscard]] base::Result<void> apply(const model::Step& step, const model::Resource& resource,
                                           const model::Observation& observed,
                                           const driver::Context& context) override {
        if (!point_ || point_->step != step_name(step)) return real_->apply(step, resource, observed, context);
        if (point_->when == KillPoint::When::before) die();
        std::jthread killer;
        if (point_->when == KillPoint::When::inside)
            killer = std::jthread([into = point_->into] {
                std::this_thread::sleep_for(into);
                die();
            });
        base::Result<void> result = real_->apply(step, resource, observed, context);
        // The call was quicker this time: then the kill falls just after it.
        die();
        return result;
    }

 private:
    static void die() { ::kill(::getpid(), SIGKILL); }

    std::unique_ptr<driver::Driver> real_;
    std::optional<KillPoint> point_;
};

}  // namespace safe::testing
