// The key helper's own side: one request, carried out with libcryptsetup on the memory file that holds the header. Runs
// in a process of its own, made for this one call (see main.cpp); never called where another thread could be.
#pragma once

#include "plugins/luks/helper_protocol.hpp"

namespace safe::luks {

/// The answer to a request: {"ok": …} or {"failure": …}. Never throws.
[[nodiscard]] Json serve(const Received& request);

}  // namespace safe::luks
