// The exit codes of every command; docs/operations.md describes them, and scripts rely on them.
#pragma once

#include "reconciler/model/plan.hpp"

namespace safe::cli {

enum ExitCode : int {
    success = 0,       // nothing left to do; the state is as asked
    failure = 1,       // usage, an invalid spec, a step failed; with plan --exit-code: something is unknown
    pending = 2,       // only plan --exit-code: at least one step could run now
    waiting = 3,       // done except what waits for a person
    refused = 4,       // a guard said no; nothing was touched
    interrupted = 130  // the call under way was finished, the journal written
};

/// What plan answers; without `detailed` (--exit-code) only refusals are told apart.
[[nodiscard]] ExitCode exit_code_of(const model::Plan& plan, bool detailed);
/// What apply answers, when it was begun.
[[nodiscard]] ExitCode exit_code_of(const model::Report& report);

}  // namespace safe::cli
