// What a failure means while a safe opens. Pure.
#pragma once

#include "reconciler/model/plan.hpp"

namespace safe::applying {

/// Whether the ground of an open safe is missing: a step on the firewall's base, or on a session, container, mapping,
/// mount or export, or the rules for storage, has failed and is still to be done. Such a safe goes back to closed.
/// Anything else (a guest that does not wake) leaves it open, degraded.
[[nodiscard]] bool must_close_again(const model::Report& report);

}  // namespace safe::applying
