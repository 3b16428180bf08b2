#include "reconciler/cli/terminal.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reconciler/base/characters.hpp"
#include "reconciler/cli/output.hpp"

namespace safe::cli {
namespace {

std::string duration_text(std::chrono::milliseconds took) {
    if (took < std::chrono::seconds(1)) return fmt::format("{} ms", took.count());
    return fmt::format("{:.1f} s", static_cast<double>(took.count()) / 1000);
}

std::string name_of(const model::Step& step) { return step.verb + " " + base::printable(to_text(step.resource)); }

}  // namespace

void TerminalListener::round_started(int round, const model::Plan& plan) {
    if (round == 1) return;
    print(fmt::format("round {}: {} more steps", round, plan.steps.size()));
}

void TerminalListener::step_started(const model::Step& step) {
    under_way_.push_back(name_of(step));
    clear_status();
    draw_status();
}

void TerminalListener::step_progress(const model::Step& step, std::string_view line) {
    print(paint(view::Tone::quiet,
                fmt::format("  … {}: {}", base::printable(to_text(step.resource)), base::printable(line)), style_));
}

void TerminalListener::step_ended(const model::Step& step, const model::Outcome& outcome,
                                  std::chrono::milliseconds took) {
    if (const auto place = std::ranges::find(under_way_, name_of(step)); place != under_way_.end())
        under_way_.erase(place);
    if (outcome.what == model::Outcome::What::done) {
        print(fmt::format("  {} {}  {}", paint(view::Tone::add, "✓", style_), name_of(step),
                          paint(view::Tone::quiet, duration_text(took), style_)));
        return;
    }
    std::string error = outcome.error ? view::error_text(*outcome.error, style_) : "";
    if (error.ends_with('\n')) error.pop_back();
    print(fmt::format("  {} {}  {}\n    {}", paint(view::Tone::bad, "✗", style_), name_of(step), duration_text(took),
                      error));
}

void TerminalListener::waiting(const model::Held& deferred) {
    const std::string text =
        base::printable(fmt::format("waiting for {}: {}", to_text(deferred.resource), deferred.error.cause));
    if (text == waited_for_) return;
    waited_for_ = text;
    print("  … " + text);
}

void TerminalListener::print(const std::string& line) {
    clear_status();
    say("{}\n", line);
    draw_status();
}

void TerminalListener::draw_status() const {
    if (!live_ || under_way_.empty()) return;
    say("{}", paint(view::Tone::quiet, fmt::format("  … {}", fmt::join(under_way_, ", ")), style_));
}

void TerminalListener::clear_status() const {
    if (live_) say("\r\x1b[K");
}

}  // namespace safe::cli
