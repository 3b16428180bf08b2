// A person's password, from the terminal or from a descriptor: never from an argument, never from the environment. Echo
// is off while it is typed, and back on however the reading ends.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "reconciler/base/secret.hpp"

namespace safe::cli {

/// Where the passwords of one command come from.
class Passwords {
 public:
    /// With `descriptor` (--password-fd N) from there, one a line; without it from the terminal. `stop` ends the
    /// waiting.
    Passwords(std::optional<int> descriptor, std::stop_token stop) : descriptor_(descriptor), stop_(std::move(stop)) {}

    /// By a person, who cannot see what they type.
    [[nodiscard]] bool are_typed() const { return !descriptor_; }

    /// The next one. A terminal is asked: "<prompt>: "; of a descriptor, no byte is taken behind the line. At most 1024
    /// bytes; an empty one is an error, and so is having nobody to ask. Interrupted: a stop, as by Ctrl-C.
    [[nodiscard]] base::Result<base::Secret> next(const std::string& prompt) const;

 private:
    [[nodiscard]] base::Result<base::Secret> read_line(int descriptor) const;

    std::optional<int> descriptor_;
    std::stop_token stop_;
};

}  // namespace safe::cli
