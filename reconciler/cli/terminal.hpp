// What a person sees while an apply runs: a line for each step when it ends, and on a terminal one line below that says
// what is under way. To standard output. Programs get events instead (event_listener.hpp).
#pragma once

#include <string>
#include <vector>

#include "reconciler/applying/listener.hpp"
#include "reconciler/view/view.hpp"

namespace safe::cli {

class TerminalListener final : public applying::Listener {
 public:
    /// `live` keeps a line that is written over; only for terminals.
    TerminalListener(view::Style style, bool live) : style_(style), live_(live) {}

    void round_started(int round, const model::Plan& plan) override;
    void step_started(const model::Step& step) override;
    void step_progress(const model::Step& step, std::string_view line) override;
    void step_ended(const model::Step& step, const model::Outcome& outcome, std::chrono::milliseconds took) override;
    void waiting(const model::Held& deferred) override;

 private:
    void print(const std::string& line);
    void draw_status() const;
    void clear_status() const;

    view::Style style_;
    bool live_;
    std::vector<std::string> under_way_;
    std::string waited_for_;
};

}  // namespace safe::cli
