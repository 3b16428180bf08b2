// A person's password, from the terminal or from a descriptor: never from an argument, never from the environment. Echo
// is off while it is typed, and back on however the reading ends.
#pragma once

#include <optional>
#include <string>

#include "reconciler/base/secret.hpp"

namespace safe::cli {

/// With `descriptor` (--password-fd N) one line of it, and no byte more, so that two passwords can follow one another.
/// Without it, asks on the terminal: "<prompt>: ". At most 1024 bytes; an empty one is an error, and so is having
/// nobody to ask.
[[nodiscard]] base::Result<base::Secret> read_password(const std::string& prompt, std::optional<int> descriptor);

}  // namespace safe::cli
