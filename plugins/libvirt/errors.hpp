// What libvirt said of the last call of this thread that failed, in our words. Only for the files that call libvirt; no
// state, thread-safe.
#pragma once

#include <string>

#include "reconciler/base/error.hpp"

namespace safe::libvirt {

/// Its code (virErrorNumber); VIR_ERR_OK (0) when nothing failed.
[[nodiscard]] int last_code();

/// With libvirt's own words as the cause, and advice where we know some.
[[nodiscard]] base::Error failure(std::string attempt, std::string object);

[[nodiscard]] base::Error connect_failure(const std::string& uri);

}  // namespace safe::libvirt
