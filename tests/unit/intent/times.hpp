// A time of the test's own.
#pragma once

#include "reconciler/intent/clock.hpp"

namespace safe::test {

using namespace std::chrono_literals;

/// `seconds` after a moment on 2026-11-25 at which the host had been up for 1000 s.
inline intent::Now at(std::chrono::seconds seconds, const std::string& boot = "this-boot") {
    return {.wall = intent::WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 25)) + seconds,
            .since_boot = 1000s + seconds,
            .boot = boot};
}

}  // namespace safe::test
