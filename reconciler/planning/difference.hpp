// The one place where what is wanted is compared with what is there, for every driver. Pure.
#pragma once

#include <vector>

#include "reconciler/model/plan.hpp"

namespace safe::planning {

/// Every difference from `observed` to `desired`, depth first, in the order of the desired keys with removals after. A
/// branch that is only on one side is one change. In an ordered branch, entries that kept their key but not their place
/// are moves, as few as possible; adding or removing an entry moves nobody.
[[nodiscard]] std::vector<model::Change> difference(const model::Attributes& observed,
                                                    const model::Attributes& desired);

}  // namespace safe::planning
