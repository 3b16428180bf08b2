// The last question before something is done: only on a terminal, and only y or yes is a yes.
#pragma once

#include <stop_token>
#include <string>

#include "reconciler/base/result.hpp"
#include "reconciler/cli/commands.hpp"

namespace safe::cli {

struct Question {
    std::string attempt;                   // "revoke", for the error
    std::string object;                    // "bob"
    std::string text;                      // "take away bob's keyslot and account?"
    std::string otherwise = "give --yes";  // what to do where nobody can be asked
};

/// Asks. With `yes`, nobody is asked. Refused: a no, or nobody to ask, because the input or the output is no terminal
/// or `format` is for programs. Interrupted: Ctrl-C.
[[nodiscard]] base::Result<void> ask_consent(const Question& question, bool yes, Format format,
                                             const std::stop_token& stop);

}  // namespace safe::cli
