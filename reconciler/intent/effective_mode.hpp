// The mode in effect: a pure function of the operator's wish and of what people want. People's intent (sessions, tasks,
// a lock set at run time) is not kept yet, so nobody is ever inside by himself and `auto` means closed.
#pragma once

#include "reconciler/model/resource.hpp"
#include "specs/spec.hpp"

namespace safe::intent {

[[nodiscard]] model::Mode effective_mode(specs::WantedMode wanted);

}  // namespace safe::intent
