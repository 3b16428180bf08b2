// What a machine that is off is to do, by the files that lie of it; the files themselves; what counts as mounted; and
// how a save is broken off.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "plugins/libvirt/deep_sleep.hpp"
#include "plugins/libvirt/mounted.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/libvirt/mock_api.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;

TEST(SleepOf, EveryCombinationOfFilesAndMark) {
    for (int bits = 0; bits < 32; ++bits) {
        const SavedFiles files{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
        const bool whole = (bits & 8) != 0;
        const bool marked = (bits & 16) != 0;
        const Sleep sleep = sleep_of(files, whole, marked);
        const bool usable = files.saved || (files.incoming && whole);
        SCOPED_TRACE(bits);
        EXPECT_EQ(sleep == Sleep::saved, usable && marked) << "restored only what its definition knows of";
        EXPECT_EQ(sleep == Sleep::unclaimed, usable && !marked);
        EXPECT_EQ(sleep == Sleep::cold, !usable && files.used) << "what was used is never restored";
        EXPECT_EQ(sleep == Sleep::lost, !usable && !files.used && marked) << "never a silent boot";
        EXPECT_EQ(sleep == Sleep::none, !usable && !files.used && !marked);
    }
}

TEST(Mounted, IsWhatTheKernelSaysAndNoPrefixOfIt) {
    constexpr const char* text =
        "22 1 0:20 / /proc rw - proc proc rw\n"
        "35 22 8:1 / /srv/safe/a\\040b/vault rw,nosuid shared:1 - ext4 /dev/mapper/safe-a-vault rw\n"
        "36 22 8:1 / /odd\\134x\\x rw - ext4 /dev/x rw";
    EXPECT_TRUE(lists_mount(text, "/proc"));
    EXPECT_TRUE(lists_mount(text, "/srv/safe/a b/vault"));
    EXPECT_TRUE(lists_mount(text, "/odd\\x\\x"));
    EXPECT_FALSE(lists_mount(text, "/srv/safe/a b"));
    EXPECT_FALSE(lists_mount(text, "/srv/safe/a b/vault/memory"));
    EXPECT_FALSE(lists_mount(text, "/"));
    EXPECT_FALSE(lists_mount("", "/proc"));
    EXPECT_FALSE(lists_mount("\n \n1 2 3", "/proc"));
}

TEST(Mounted, AsksTheKernel) {
    EXPECT_TRUE(*is_mounted("/proc"));
    EXPECT_FALSE(*is_mounted("/proc/self"));
}

/// With /proc for a vault that is mounted: nothing here depends on what it holds.
class Files : public ::testing::Test {
 protected:
    Files() {
        keep_.vault = "vault";
        keep_.vault_mount = "/proc";
        keep_.memory = home_.path() / "memory";
    }
    void write(const fs::path& path, const std::string& content) const { std::ofstream(path) << content; }
    [[nodiscard]] SavedMemory memory() const { return SavedMemory(Layout("t", home_.path() / "state", keep_)); }

    testing::TemporaryDirectory home_;
    Keep keep_;
    fs::path disk_ = home_.path() / "desk.qcow2";
};

TEST_F(Files, NothingIsWrittenWhereNothingIsMounted) {
    keep_.vault_mount = home_.path();
    EXPECT_FALSE(memory().make_ready());
    EXPECT_FALSE(fs::exists(keep_.memory));
    keep_ = {};
    EXPECT_FALSE(memory().make_ready());
    EXPECT_FALSE(*memory().mounted());
}

TEST_F(Files, ALinkInTheDirectorysPlaceIsNotFollowed) {
    fs::create_directory(home_.path() / "elsewhere");
    fs::create_symlink(home_.path() / "elsewhere", keep_.memory);
    EXPECT_FALSE(memory().make_ready());
}

TEST_F(Files, WhatIsKeptIsWholePrivateAndBoundToItsDisk) {
    ASSERT_TRUE(memory().make_ready());
    write(disk_, "disk");
    write(memory().incoming("desk"), "memory");
    ASSERT_TRUE(memory().keep("desk", disk_));
    EXPECT_FALSE(memory().look("desk")->incoming);
    EXPECT_TRUE(memory().look("desk")->saved);
    EXPECT_EQ(fs::status(memory().saved("desk")).permissions(), fs::perms(0600));
    EXPECT_TRUE(memory().check_disk("desk", disk_));
    EXPECT_FALSE(memory().check_disk("desk", "")) << "it had a disk";
    EXPECT_FALSE(memory().check_disk("desk", home_.path() / "other.qcow2")) << "not there";
    const auto then = fs::last_write_time(disk_);
    write(disk_, "newer disk");
    EXPECT_FALSE(memory().check_disk("desk", disk_));
    write(disk_, "DISK");
    fs::last_write_time(disk_, then + std::chrono::nanoseconds(1));
    EXPECT_FALSE(memory().check_disk("desk", disk_)) << "of the same size";
    fs::last_write_time(disk_, then);
    EXPECT_TRUE(memory().check_disk("desk", disk_));
    write(keep_.memory / "desk.save.json", "{");
    EXPECT_FALSE(memory().check_disk("desk", disk_));
    fs::remove(keep_.memory / "desk.save.json");
    EXPECT_FALSE(memory().check_disk("desk", disk_));
}

TEST_F(Files, MemoryOlderThanTheDiskIsNotKept) {
    ASSERT_TRUE(memory().make_ready());
    write(memory().incoming("desk"), "memory");
    write(disk_, "disk");
    fs::last_write_time(disk_, fs::last_write_time(memory().incoming("desk")) + std::chrono::seconds(1));
    EXPECT_FALSE(memory().keep("desk", disk_));
    EXPECT_FALSE(memory().look("desk")->saved);
    EXPECT_FALSE(memory().keep("nobody", "")) << "nothing to keep";
}

TEST_F(Files, WhatWasSpentIsNeverASavedStateAgain) {
    ASSERT_TRUE(memory().make_ready());
    ASSERT_TRUE(memory().spend("desk")) << "nothing there is nothing to do";
    write(memory().incoming("desk"), "memory");
    ASSERT_TRUE(memory().keep("desk", ""));
    for (int again = 0; again < 2; ++again) {
        ASSERT_TRUE(memory().spend("desk"));
        EXPECT_FALSE(memory().look("desk")->saved);
        EXPECT_TRUE(memory().look("desk")->used);
    }
    write(memory().incoming("desk"), "of a save that was broken off");
    for (int again = 0; again < 2; ++again) ASSERT_TRUE(memory().forget_spent("desk"));
    const auto left = memory().look("desk");
    EXPECT_FALSE(left->incoming || left->saved || left->used);
    EXPECT_FALSE(fs::exists(keep_.memory / "desk.save.json"));
    write(memory().incoming("desk"), "memory");
    ASSERT_TRUE(memory().keep("desk", ""));
    ASSERT_TRUE(memory().spend("desk"));
    write(memory().incoming("desk"), "libvirt is at work");
    ASSERT_TRUE(memory().clear_for("desk"));
    EXPECT_TRUE(memory().look("desk")->incoming);
    EXPECT_FALSE(memory().look("desk")->used);
    write(keep_.memory / "wiki.save", "another's");
    for (int again = 0; again < 2; ++again) ASSERT_TRUE(memory().forget("desk"));
    EXPECT_FALSE(memory().look("desk")->incoming);
    EXPECT_TRUE(memory().look("wiki")->saved);
}

TEST_F(Files, SpaceForAllIsAskedForAndWhatIsSavedCounts) {
    ASSERT_TRUE(memory().make_ready());
    EXPECT_TRUE(memory().check_space());
    keep_.memory_of_workspaces = std::uint64_t{1} << 60;
    const auto refused = memory().check_space();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().advice.find("larger"), std::string::npos);
}

TEST_F(Files, ASaveThatBeginsAfterTheTimeIsOverIsBrokenOffToo) {
    using namespace std::chrono_literals;
    const base::Error nothing_to_abort{.attempt = "abort", .object = "desk", .cause = "no job is active"};
    std::atomic<bool> begun = false;
    std::atomic<bool> aborted = false;
    const auto api = std::make_shared<::testing::NiceMock<MockApi>>();
    ON_CALL(*api, domain_with).WillByDefault([](const std::string& uuid, View) {
        return std::optional(Domain{.name = "t-desk", .uuid = uuid, .active = true, .paused = true});
    });
    ON_CALL(*api, abort_job).WillByDefault([&](const std::string&) -> base::Result<void> {
        if (!begun) return base::fail(nothing_to_abort);
        aborted = true;
        return {};
    });
    ON_CALL(*api, save).WillByDefault([&](const std::string&, const std::string&) -> base::Result<void> {
        std::this_thread::sleep_for(150ms);  // it waits for another job to end
        begun = true;
        for (int tries = 0; tries < 500 && !aborted; ++tries) std::this_thread::sleep_for(10ms);
        if (!aborted) return {};
        return base::fail({.attempt = "save", .object = "desk", .cause = "it was broken off"});
    });
    const Found desk{.domain = {.name = "t-desk", .uuid = "u", .active = true, .paused = true, .persistent = true},
                     .seen = {},
                     .owner = {.safe = "t", .vm = "desk"}};
    const driver::Context context{.insistence = {.asleep_by = std::chrono::steady_clock::now() + 20ms}};
    const auto slept = DeepSleep(api, Layout("t", home_.path() / "state", keep_)).put_to_sleep(desk, context);
    EXPECT_TRUE(aborted);
    ASSERT_FALSE(slept);
    EXPECT_EQ(slept.error().cause, "it was broken off");
}

}  // namespace
}  // namespace safe::libvirt
