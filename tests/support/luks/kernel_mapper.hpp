// Whether this kernel has device-mapper's crypt target and loop devices, for the tests that need the real thing.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace safe::test {

/// With SAFE_REQUIRE_DEVICE_MAPPER set (in the appliance) the answer is yes, so that nothing is skipped there.
inline bool kernel_can_map() {
    if (std::getenv("SAFE_REQUIRE_DEVICE_MAPPER") != nullptr) return true;
    return std::filesystem::exists("/dev/mapper/control") && std::filesystem::exists("/dev/loop-control");
}

}  // namespace safe::test
