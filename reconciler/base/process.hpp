// Runs another program and waits for it: by argument vector, never through a shell, with an environment of our own
// making (PATH and LC_ALL=C), none of our file descriptors, and a process group of its own, so that Ctrl-C ends it only
// through us. Thread-safe; owns nothing.
#pragma once

#include <string>
#include <vector>

#include "reconciler/base/result.hpp"

namespace safe::base {

struct Finished {
    int status = 0;      // as from exit(3); 128 and the signal for one that was killed
    std::string output;  // the first MiB of each
    std::string errors;
};

/// `arguments[0]` is looked up in the system's own directories. An Error when it could not be started; what it then
/// says and how it ends is the caller's to judge.
[[nodiscard]] Result<Finished> run_process(const std::vector<std::string>& arguments);

}  // namespace safe::base
