// The real Api: a helper process for every call (main.cpp), and device-mapper's devices as sysfs shows them.
// Thread-safe; calls that derive keys run one at a time within one object.
#pragma once

#include <filesystem>
#include <memory>

#include "plugins/luks/luks_api.hpp"

namespace safe::luks {

/// `helper` is the program safe-key-helper; `block_devices` is /sys/block but in tests.
[[nodiscard]] std::unique_ptr<Api> make_helper_api(std::filesystem::path helper,
                                                   std::filesystem::path block_devices = "/sys/block");

/// Beside the running program, else where it is installed.
[[nodiscard]] std::filesystem::path usual_helper();

}  // namespace safe::luks
