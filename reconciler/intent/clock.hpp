// What time it is, asked of one place, so that tests have a time of their own. Two clocks: the wall clock for what
// people agree on (a task's deadline), which may be set; and the time since the host booted, for leases, which only
// goes forward and means nothing after another boot. Thread-safe.
#pragma once

#include <chrono>
#include <string>

#include "reconciler/base/result.hpp"

namespace safe::intent {

using WallTime = std::chrono::sys_seconds;
using BootTime = std::chrono::milliseconds;  // since the host booted, its sleep included (CLOCK_BOOTTIME)

struct Now {
    WallTime wall = {};
    BootTime since_boot = {};
    std::string boot = {};  // which boot of the host: /proc/sys/kernel/random/boot_id
};

class Clock {
 public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    Clock(Clock&&) = delete;
    Clock& operator=(Clock&&) = delete;
    virtual ~Clock() = default;

    /// An Error when the boot cannot be told: without it no lease can be judged.
    [[nodiscard]] virtual base::Result<Now> now() const = 0;
};

/// The host's own.
class SystemClock final : public Clock {
 public:
    [[nodiscard]] base::Result<Now> now() const override;
};

/// "2026-11-19T18:02:11Z" (RFC 3339, UTC).
[[nodiscard]] std::string to_text(WallTime time);

}  // namespace safe::intent
