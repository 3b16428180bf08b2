// Proves a safe's state by looking at the machine, through procfs, sysfs and the system's own tools. Shares no code
// with the drivers, so that a mistake of theirs does not hide itself here. Reads only; needs root to see everything,
// and what it cannot see is unknown, never "not there". A moment's picture: it does not say what happens a second
// later.
#pragma once

#include "reconciler/driver/places.hpp"
#include "reconciler/verify/finding.hpp"
#include "reconciler/verify/system.hpp"

namespace safe::verify {

[[nodiscard]] Report verify(const System& system, const specs::SafeSpec& spec, const driver::Places& places,
                            model::Mode mode);

}  // namespace safe::verify
