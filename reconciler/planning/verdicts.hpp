// First half of planning: what is to happen to each resource by itself, which changes bracket others, and what must not
// happen because something it rests on could not be seen. Pure.
#pragma once

#include <optional>
#include <vector>

#include "reconciler/planning/graph.hpp"
#include "reconciler/planning/planner.hpp"

namespace safe::planning {

struct Verdict {
    enum class Want { nothing, add, change, remove };
    Want want = Want::nothing;
    /// Not known well enough to rest anything on: unknown, deferred, or somebody else's.
    bool unsettled = false;
    /// Unsettled only until something deferred can be seen: another round may tell.
    bool later = false;
    /// Unsettled for as long as the mode lasts, and rightly so.
    bool dormant = false;
    std::vector<model::Change> changes = {};
    model::Assessment assessment = {};
    /// Taken down, and brought back when it is wanted, for a change of this node below it.
    std::optional<Node> bracket = std::nullopt;
    /// Put away by the mode, brought up and taken down again for a step of this node above it.
    std::optional<Node> held_for = std::nullopt;
    /// A removal by which the safe closes: see Step::insists.
    bool insists = false;

    /// A change that has everything down which stands on it.
    [[nodiscard]] bool brackets() const { return want == Want::change && assessment.dependents_down; }
};

/// One verdict a node. Fills in the plan what gets no step: unknown, deferred, blocked, orphaned and refusals.
[[nodiscard]] std::vector<Verdict> judge(const Graph& graph, const Question& question, const Assessor& assessor,
                                         model::Plan& plan);

}  // namespace safe::planning
