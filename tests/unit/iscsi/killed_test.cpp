// Killed before and after each call of the host: applied again it converges, on to the end or back.
#include <gtest/gtest.h>

#include "tests/unit/iscsi/session_driver.hpp"

namespace safe::iscsi {
namespace {

using model::Mode;
using test::SessionDriver;

struct Killed {};

/// Which call of the host, and whether before or after it did its work.
class KilledAt : public SessionDriver, public ::testing::WithParamInterface<int> {
 protected:
    /// Runs until the call of this number, where it ends as by SIGKILL. False when there was no such call.
    bool killed_while(Mode mode) {
        int left = GetParam();
        const auto count = [&left](const std::string& /*call*/) {
            if (left-- == 0) throw Killed{};
        };
        storage.before_call = storage.after_call = count;
        bool killed = false;
        try {
            static_cast<void>(world.converge(mode));
        } catch (const Killed&) {
            killed = true;
        }
        storage.before_call = storage.after_call = [](const std::string&) {};
        restart();
        return killed;
    }
};

TEST_P(KilledAt, OpeningGoesOn) {
    static_cast<void>(killed_while(Mode::open));
    must(Mode::open);
    EXPECT_TRUE(world.attached("vault") && world.attached("data"));
    EXPECT_EQ(storage.sessions.size(), 1U);
    EXPECT_EQ(storage.records.size(), 1U);
}

TEST_P(KilledAt, OpeningCanBeTakenBack) {
    static_cast<void>(killed_while(Mode::open));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_P(KilledAt, OpeningCanBeTakenBackWhenTheVolumesLeftTheFile) {
    static_cast<void>(killed_while(Mode::open));
    world.spec.volumes.clear();
    restart();
    must(Mode::closed);
    expect_nothing_left();
}

TEST_P(KilledAt, ClosingGoesOn) {
    must(Mode::open);
    static_cast<void>(killed_while(Mode::closed));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_P(KilledAt, ClosingCanBeTakenBack) {
    must(Mode::open);
    static_cast<void>(killed_while(Mode::closed));
    must(Mode::open);
    EXPECT_TRUE(world.attached("vault") && world.attached("data"));
}

constexpr int calls_of_opening = 10;  // twice probe and scan, once record and login; before and after each
INSTANTIATE_TEST_SUITE_P(Everywhere, KilledAt, ::testing::Range(0, calls_of_opening + 2));

TEST_F(SessionDriver, TheKillMatrixReachesEveryCall) {
    int calls = 0;
    storage.before_call = [&calls](const std::string& /*call*/) { ++calls; };
    storage.after_call = storage.before_call;
    must(Mode::open);
    EXPECT_EQ(calls, calls_of_opening + 2);
}

}  // namespace
}  // namespace safe::iscsi
