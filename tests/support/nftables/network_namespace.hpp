// A network namespace of the test's own: the thread that makes one leaves the host's network for good, and its tables,
// bridges and interfaces vanish with it. gtest_discover_tests runs each TEST as a process, so nothing has to be put
// back.
#pragma once

#include <sched.h>

#include <cerrno>
#include <string>

#include "reconciler/base/error.hpp"

namespace safe::test {

/// Empty when the caller is now alone on a network of its own; else why not.
inline std::string enter_own_network() {
    return unshare(CLONE_NEWNET) == 0 ? std::string() : "unshare(CLONE_NEWNET): " + base::errno_text(errno);
}

}  // namespace safe::test
