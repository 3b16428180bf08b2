// Second half of planning: from verdicts to steps, each after what it must come after. Pure.
#pragma once

#include <vector>

#include "reconciler/planning/verdicts.hpp"

namespace safe::planning {

/// Appends the steps to the plan, in one topological order: what takes away comes as early as it may, then by kind and
/// name. A circle among needs is a bug of a driver; it is said as a refusal, and no step is made.
void order_steps(const Graph& graph, const std::vector<Verdict>& verdicts, const Question& question,
                 const Assessor& assessor, model::Plan& plan);

}  // namespace safe::planning
