// Wrong passwords of several processes at once, counted in one store.
#include "reconciler/cli/wrong_passwords.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "reconciler/members/back_off.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::cli {
namespace {

/// `safectl open`, tried by many at once: none of them sees a count that leaves out another.
TEST(WrongPasswords, TriesAtTheSameTimeAreAllCounted) {
    const testing::TemporaryDirectory home;
    ASSERT_TRUE(intent::Store::open(home.path()));
    const auto now = std::chrono::system_clock::time_point(std::chrono::days(400));
    std::atomic<unsigned> admitted = 0;
    {
        std::vector<std::jthread> people;
        for (int i = 0; i < 20; ++i)
            people.emplace_back([&] {
                base::Result<intent::Store> store = intent::Store::open(home.path());
                ASSERT_TRUE(store);
                WrongPasswords attempts(*store);
                admitted += members::BackOff(attempts, [&] { return now; }).admit("alice", "local") ? 1U : 0U;
            });
    }
    EXPECT_EQ(admitted, 4U) << "three are forgiven, and nobody waits before the fourth";
    EXPECT_EQ(intent::Store::open(home.path())->wrong_passwords("alice", "local")->count, admitted);
}

}  // namespace
}  // namespace safe::cli
