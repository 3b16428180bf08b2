// Whether this kernel has device-mapper's crypt target and loop devices, for the tests that need the real thing.
#pragma once

#include <fcntl.h>

#include <cstdlib>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::test {

/// With SAFE_REQUIRE_DEVICE_MAPPER set (in the appliance) the answer is yes, so that nothing is skipped there.
inline bool kernel_can_map() {
    if (std::getenv("SAFE_REQUIRE_DEVICE_MAPPER") != nullptr) return true;
    // The nodes alone say nothing: without the driver they are there and cannot be opened.
    const base::FileDescriptor mapper(::open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
    const base::FileDescriptor loop(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    return mapper && loop;
}

}  // namespace safe::test
