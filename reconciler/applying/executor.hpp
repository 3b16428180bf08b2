// Carries one plan out: every step after those it requires, independent ones side by side. Before a step its resource
// is looked at again, and after it the world is compared with what the step promised. A failed step stops those that
// depend on it and no others; what only follows it begins when it is over.
#pragma once

#include <algorithm>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "reconciler/applying/driver_set.hpp"
#include "reconciler/applying/journal.hpp"
#include "reconciler/applying/listener.hpp"

namespace safe::applying {

struct Execution {
    DriverSet& drivers;
    Journal& journal;
    Listener& listener;
    std::stop_token stop;
    driver::Insistence insistence = {};
    /// Steps side by side. More than there are cores makes guests that start together slower than one after the other.
    unsigned workers = std::clamp(std::thread::hardware_concurrency(), 2U, 4U);
};

struct Executed {
    std::vector<model::Outcome> outcomes;  // one a step, in the order they ended
    /// Resources that were not as the plan had seen them: looking and planning again may well succeed.
    std::set<model::ResourceId> moved;
};

/// Among `desired` is the resource of every step that is declared. Steps in `excluded` are skipped, as are those that
/// wait for a person. Returns when every step has an outcome; after a stop request the calls under way are finished
/// first.
[[nodiscard]] Executed execute(const model::Plan& plan, std::span<const model::Resource> desired,
                               const std::set<model::ResourceId>& excluded, const Execution& execution);

}  // namespace safe::applying
