#include "reconciler/cli/exit_code.hpp"

namespace safe::cli {
namespace {

bool has_unseen(const model::Plan& plan) { return !plan.unknown.empty() || !plan.blind.empty(); }

}  // namespace

ExitCode exit_code_of(const model::Plan& plan, bool detailed) {
    if (!plan.refusals.empty()) return refused;
    if (!detailed) return success;
    if (has_unseen(plan)) return failure;
    if (plan.runnable() > 0) return pending;
    if (!plan.deferred.empty() || !plan.blocked.empty()) return failure;
    return plan.steps.empty() ? success : waiting;
}

ExitCode exit_code_of(const model::Report& report) {
    if (report.interrupted) return interrupted;
    const model::Plan& left = report.remaining;
    if (!left.refusals.empty()) return failure;  // it turned up after steps had been taken
    const ExitCode code = exit_code_of(left, true);
    return code == pending ? failure : code;
}

}  // namespace safe::cli
