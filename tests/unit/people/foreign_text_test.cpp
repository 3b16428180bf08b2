// What came out of a directory, a guest or a process does not steer the terminal, wherever it is printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconciler/cli/findings.hpp"
#include "reconciler/cli/output.hpp"
#include "reconciler/cli/terminal.hpp"

namespace safe::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// CSI as one character, which erases a line, and what turns the rest of the line round.
const std::string steering =
    "Alice\xc2\x9b"
    "2K\xe2\x80\xaella";

auto is_tame() {
    return AllOf(HasSubstr("Alice\\u009b2K\\u202ella"), Not(HasSubstr("\xc2\x9b")), Not(HasSubstr("\xe2\x80\xae")));
}

model::Step step() {
    model::Step step;
    step.resource = make_id(model::Kind::account, "alice");
    step.action = model::Action::change;
    step.verb = "set";
    step.changes.push_back(
        {.path = {"name"}, .before = model::Value(steering), .after = model::Value(std::string("Alice"))});
    return step;
}

TEST(ForeignText, InAPlan) {
    model::Plan plan;
    plan.steps = {step()};
    EXPECT_THAT(view::plan_text(plan, {}), is_tame());
    plan.steps = {};
    plan.orphaned = {make_id(model::Kind::account, steering)};
    EXPECT_THAT(view::plan_text(plan, {}), is_tame()) << "a name";
    plan.orphaned = {};
    plan.unknown = {{make_id(model::Kind::account, "alice"), {"read", "it", steering}}};
    EXPECT_THAT(view::plan_text(plan, {}), is_tame()) << "a cause";
}

TEST(ForeignText, WhileAStepRuns) {
    TerminalListener listener({}, false);
    const auto said = [](const auto& saying) {
        ::testing::internal::CaptureStdout();
        saying();
        wait_until_said({});
        return ::testing::internal::GetCapturedStdout();
    };
    EXPECT_THAT(said([&] { listener.step_progress(step(), steering); }), is_tame());
    EXPECT_THAT(said([&] { listener.waiting({make_id(model::Kind::account, "alice"), {"read", "it", steering}}); }),
                is_tame());
}

TEST(ForeignText, InFindings) {
    verify::Report report;
    report.findings = {{.subject = "holders", .verdict = verify::Verdict::fault, .looked_at = "it", .found = steering}};
    EXPECT_THAT(findings_text(report, "yes", "no", {}), is_tame());
}

}  // namespace
}  // namespace safe::cli
