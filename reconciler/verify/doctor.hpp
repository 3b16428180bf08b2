// Whether this host is fit to be a safe's hypervisor: its rights, kernel, processor, memory, tools and clock, each line
// with what to do. Reads only; loads no module and starts nothing.
#pragma once

#include "reconciler/verify/finding.hpp"
#include "reconciler/verify/system.hpp"
#include "specs/spec.hpp"

namespace safe::verify {

/// With a spec, also whether it is fit for that one: its memory, its hypervisor, the tools its parts need.
[[nodiscard]] Report examine(const System& system, const specs::SafeSpec* spec);

}  // namespace safe::verify
