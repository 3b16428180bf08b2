#include "reconciler/model/plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace safe::model {
namespace {

constexpr std::array<std::pair<Disruption, std::string_view>, 5> disruption_names{{
    {Disruption::none, "none"},
    {Disruption::live, "live"},
    {Disruption::restart, "restart"},
    {Disruption::downtime, "downtime"},
    {Disruption::irreversible, "irreversible"},
}};

}  // namespace

std::string to_text(const Path& path) {
    std::string text;
    for (const std::string& segment : path) text += (text.empty() ? "" : ".") + segment;
    return text;
}

std::string_view to_text(Disruption disruption) {
    for (const auto& [known, name] : disruption_names)
        if (known == disruption) return name;
    return "?";
}

std::optional<Disruption> parse_disruption(std::string_view text) {
    for (const auto& [disruption, name] : disruption_names)
        if (name == text) return disruption;
    return std::nullopt;
}

std::string_view to_text(Action action) {
    switch (action) {
        case Action::add:
            return "add";
        case Action::change:
            return "change";
        case Action::remove:
            return "remove";
    }
    return "?";
}

std::string_view to_text(Outcome::What what) {
    switch (what) {
        case Outcome::What::done:
            return "done";
        case Outcome::What::failed:
            return "failed";
        case Outcome::What::skipped:
            return "skipped";
    }
    return "?";
}

bool Step::rests_on(const std::set<ResourceId>& excluded) const {
    return excluded.contains(resource) || (bracket && excluded.contains(*bracket));
}

std::size_t Plan::runnable(const std::set<ResourceId>& excluded) const {
    std::vector<bool> stuck(steps.size());
    std::size_t count = 0;
    for (StepIndex i = 0; i < steps.size(); ++i) {
        const Step& step = steps[i];
        const bool refused = !refusals.empty() && !step.closes();
        const bool held_up = !step.closes() &&
                             std::ranges::any_of(step.requires_done, [&](StepIndex earlier) { return stuck[earlier]; });
        stuck[i] = refused || held_up || step.waits_for || step.rests_on(excluded);
        if (!stuck[i]) ++count;
    }
    return count;
}

Disruption Plan::disruption() const {
    Disruption worst = Disruption::none;
    for (const Step& step : steps) worst = std::max(worst, step.disruption);
    return worst;
}

}  // namespace safe::model
