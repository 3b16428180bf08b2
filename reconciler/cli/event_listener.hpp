// What a program sees while an apply runs: a JSON object a line on standard error, each written when it comes about.
// Standard output is kept for the one document at the end. Nothing waits for a reader: what the pipe has no room for is
// left out.
#pragma once

#include <string>

#include "reconciler/applying/listener.hpp"

namespace safe::cli {

class EventListener final : public applying::Listener {
 public:
    void round_started(int round, const model::Plan& plan) override;
    void step_started(const model::Step& step) override;
    void step_progress(const model::Step& step, std::string_view line) override;
    void step_ended(const model::Step& step, const model::Outcome& outcome, std::chrono::milliseconds took) override;
    void waiting(const model::Held& deferred) override;

 private:
    std::string waited_for_;
};

}  // namespace safe::cli
