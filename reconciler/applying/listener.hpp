// Who wants to hear how an apply goes: the terminal, later the daemon's clients. Called from several threads, one call
// at a time.
#pragma once

#include <chrono>
#include <string_view>

#include "reconciler/model/plan.hpp"

namespace safe::applying {

class Listener {
 public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    Listener(Listener&&) = delete;
    Listener& operator=(Listener&&) = delete;
    virtual ~Listener() = default;

    /// `round` counts from 1; the first plan is the one that was confirmed.
    virtual void round_started(int /*round*/, const model::Plan& /*plan*/) {}
    virtual void step_started(const model::Step& /*step*/) {}
    virtual void step_progress(const model::Step& /*step*/, std::string_view /*line*/) {}
    virtual void step_ended(const model::Step& /*step*/, const model::Outcome& /*outcome*/,
                            std::chrono::milliseconds /*took*/) {}
    /// Something deferred is up but does not answer yet.
    virtual void waiting(const model::Held& /*deferred*/) {}
};

}  // namespace safe::applying
