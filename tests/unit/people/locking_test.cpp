// Closing and locking while something does not answer: storage in which every look hangs, another run that is in the
// way.
#include <future>
#include <thread>

#include "tests/unit/people/peoples_commands.hpp"

namespace safe::cli {
namespace {

constexpr auto at_most = std::chrono::seconds(60);  // should nothing free it: the test fails, and does not hang

class Locking : public PeoplesCommands {
 protected:
    void open_with_short_deadlines() {
        std::ofstream(home_.path() / "safe.yaml") << spec << "deadlines: { lock: 1s, close: 1s }\n";
        ASSERT_EQ(safectl({"open", "--user", "bob", "--now"}, "bob's word").code, 0);
        ASSERT_TRUE(is_mounted());
        world_.on_wait_no_longer = [this] { freed_.store(true); };
    }
    [[nodiscard]] bool is_freed() const {
        const auto end = std::chrono::steady_clock::now() + at_most;
        while (!freed_ && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return freed_;
    }

    std::atomic<bool> freed_ = false;
};

TEST_F(Locking, PeopleAreCutOffBeforeAnythingElseIsLookedAt) {
    while_open_.push_back({.id = ruleset});
    ASSERT_EQ(safectl({"open", "--user", "bob"}, "bob's word").code, 0);
    ASSERT_TRUE(world_.things.contains(ruleset));
    world_.on_look = [this](model::Kind kind) {
        if (kind != model::Kind::mount) return;
        const std::lock_guard lock(world_.mutex);
        EXPECT_FALSE(world_.things.contains(ruleset)) << "this look may hang for as long as it likes";
    };
    const Said locked = safectl({"lock", "--reason", "odd logins"});
    EXPECT_EQ(locked.code, 0) << locked.out << locked.err;
    EXPECT_FALSE(is_mounted());
}

TEST_F(Locking, PeopleAreCutOffAlsoWhileAnotherRunIsInTheWay) {
    while_open_.push_back({.id = ruleset});
    open_with_short_deadlines();
    auto other = applying::LockFile::take(state() / "lock");
    ASSERT_TRUE(other);
    world_.on_wait_no_longer = [this, &other] {
        if (freed_.exchange(true)) return;
        EXPECT_FALSE(world_.things.contains(ruleset));
        EXPECT_TRUE(is_mounted());
        const applying::LockFile ended = std::move(*other);
    };
    const Said locked = safectl({"lock", "--reason", "odd logins"});
    EXPECT_EQ(locked.code, 0) << locked.out << locked.err;
    EXPECT_TRUE(freed_);
    EXPECT_FALSE(is_mounted());
}

TEST_F(Locking, WhatDoesNotAnswerIsNotWaitedForPastTheDeadline) {
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"close"}, {"lock", "--reason", "odd logins"}}) {
        freed_ = false;
        world_.on_look = nullptr;
        open_with_short_deadlines();
        world_.on_look = [this](model::Kind kind) {
            if (kind != model::Kind::mount) return;
            EXPECT_TRUE(is_freed()) << "it hangs in the kernel until it is freed";
        };
        const Said said = safectl(command);
        EXPECT_EQ(said.code, 0) << said.out << said.err;
        EXPECT_FALSE(is_mounted());
    }
}

}  // namespace
}  // namespace safe::cli
