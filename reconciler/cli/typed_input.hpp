// Waiting for what a person types, or a program writes, in a process that has blocked SIGINT and SIGTERM (cli.hpp): a
// plain read would go on through Ctrl-C.
#pragma once

#include <stop_token>

#include "reconciler/base/result.hpp"

namespace safe::cli {

/// Returns once a read of `descriptor` would not block (its end and its errors included), or an Error of kind
/// interrupted, about `attempt` ("read") and `object` ("the password"), within a tenth of a second of a stop.
[[nodiscard]] base::Result<void> wait_for_input(int descriptor, const std::stop_token& stop, const char* attempt,
                                                const char* object);

}  // namespace safe::cli
