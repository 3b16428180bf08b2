#include "plugins/nfs/read_packets.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace safe::nfs {
namespace {

TEST(ReadPackets, EveryProcessorIsServedAndTheThreadMayUseThemAllAgain) {
    cpu_set_t before{};
    ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    const auto done = free_read_packets();
    EXPECT_TRUE(done) << to_text(done.error());
    cpu_set_t after{};
    ASSERT_EQ(::sched_getaffinity(0, sizeof after, &after), 0);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST(ReadPackets, WhereNothingCanBeSentItIsSaid) {
    bool alone = false;
    base::Result<void> done;
    std::thread([&] {
        alone = ::unshare(CLONE_NEWNET) == 0;  // there lo is down
        if (alone) done = free_read_packets();
    }).join();
    if (!alone) GTEST_SKIP() << "needs root";
    ASSERT_FALSE(done);
    EXPECT_NE(to_text(done.error()).find("bring lo up"), std::string::npos) << to_text(done.error());
}

}  // namespace
}  // namespace safe::nfs
