// The mode in effect: a pure function of the operator's wish, of what people want, and of the time.
#pragma once

#include <string>
#include <vector>

#include "reconciler/intent/intent.hpp"
#include "reconciler/model/resource.hpp"
#include "specs/spec.hpp"

namespace safe::intent {

struct Effective {
    model::Mode mode = model::Mode::closed;
    std::vector<std::string> reasons = {};  // for people, the deciding one first: "alice is inside", "locked by bob: …"
};

/// Only people of the spec count (of_users).
///
/// | locked at run time, or in the file | the file says | inside, left less than `linger` ago, or a task | effective |
/// | yes                                | any           | any                                            | locked    |
/// | no                                 | closed        | any                                            | closed    |
/// | no                                 | auto          | no                                             | closed    |
/// | no                                 | auto          | yes                                            | open      |
/// | no                                 | open          | any                                            | open      |
[[nodiscard]] Effective effective_mode(const specs::SafeSpec& spec, const Snapshot& intent, const Now& now);

/// With nobody inside, no task and no lock.
[[nodiscard]] model::Mode effective_mode(specs::WantedMode wanted);

}  // namespace safe::intent
