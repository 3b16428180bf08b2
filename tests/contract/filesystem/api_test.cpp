// What the mount driver relies on, asked of the fake and of the kernel alike. The real part runs as root, with a loop
// device, in a mount namespace of its own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>

#include "plugins/filesystem/provisioning.hpp"
#include "tests/support/filesystem/fake_system.hpp"
#include "tests/support/filesystem/loop_device.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;

enum class Which { fake, system };

class FilesystemApi : public ::testing::TestWithParam<Which> {
 protected:
    void SetUp() override {
        fs::create_directory(target);
        if (GetParam() == Which::fake) {
            auto fake = std::make_unique<test::FakeSystem>(directory.path() / "shelf");
            device = "/dev/mapper/safe-atlas-data";
            fake->devices[device].number = makedev(253, 1);
            api = std::move(fake);
            return;
        }
        if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            GTEST_SKIP() << "unshare(CLONE_NEWNS): " << base::errno_text(errno);
        constexpr off_t size = 64 << 20;
        loop = std::make_unique<test::LoopDevice>(directory.path() / "disk", size);
        if (!loop->there()) GTEST_SKIP() << "no loop device: " << loop->why();
        device = loop->path();
        api = make_system_api();
    }
    void TearDown() override {
        if (loop) ::umount2(target.c_str(), MNT_DETACH);
    }

    void make() {
        const auto made = api->make("ext4", device, "data", false);
        ASSERT_TRUE(made) << to_text(made.error());
    }
    void mount(bool read_only = false) {
        const auto mounted = api->mount(device, target, "ext4", read_only);
        ASSERT_TRUE(mounted) << to_text(mounted.error());
    }
    std::optional<MountEntry> there() {
        const auto entries = api->mounts().value();
        const auto found = std::ranges::find(entries, target, &MountEntry::target);
        return found == entries.end() ? std::nullopt : std::optional(*found);
    }

    ::safe::testing::TemporaryDirectory directory;
    fs::path target = directory.path() / "target";
    fs::path device;
    std::unique_ptr<test::LoopDevice> loop;
    std::unique_ptr<Api> api;
};

TEST_P(FilesystemApi, ADeviceIsKnownByItsNumberAndMissingIsNoError) {
    EXPECT_NE(api->device_of(device).value(), std::nullopt);
    EXPECT_EQ(api->device_of("/dev/mapper/safe-atlas-no-such").value(), std::nullopt);
}

TEST_P(FilesystemApi, WhatIsMadeIsRecognisedAndNeverUsedUntilItIsMounted) {
    EXPECT_EQ(api->content(device)->what, Content::What::nothing);
    make();
    EXPECT_EQ(api->content(device)->what, Content::What::filesystem);
    EXPECT_EQ(api->content(device)->name, "ext4");
    EXPECT_TRUE(api->check("ext4", device));
    EXPECT_TRUE(never_used("ext4", api->start_of(device, start_size).value()));
    mount();
    ASSERT_EQ(api->unmount(target).value(), Unmounted::done);
    EXPECT_FALSE(never_used("ext4", api->start_of(device, start_size).value()));
    EXPECT_TRUE(api->check("ext4", device));
}

TEST_P(FilesystemApi, AMountIsListedWithItsDeviceAndOptionsUntilItIsTakenOff) {
    make();
    EXPECT_EQ(there(), std::nullopt);
    mount();
    const auto entry = there();
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->device, api->device_of(device).value());
    EXPECT_EQ(entry->source, device);
    EXPECT_EQ(entry->type, "ext4");
    EXPECT_TRUE(entry->nodev && entry->nosuid && entry->noexec);
    EXPECT_FALSE(entry->read_only);
    EXPECT_EQ(api->unmount(target).value(), Unmounted::done);
    EXPECT_EQ(there(), std::nullopt);
    EXPECT_FALSE(api->unmount(target));
}

TEST_P(FilesystemApi, ReadOnlyIsReadOnlyAndLeavesItUnused) {
    make();
    mount(true);
    EXPECT_TRUE(there()->read_only);
    ASSERT_TRUE(api->unmount(target));
    EXPECT_TRUE(never_used("ext4", api->start_of(device, start_size).value()));
}

TEST_P(FilesystemApi, NothingIsMountedThatIsNoSuchFileSystem) {
    EXPECT_FALSE(api->mount(device, target, "ext4", false));
    make();
    EXPECT_FALSE(api->mount(device, target, "xfs", false));
    EXPECT_EQ(there(), std::nullopt);
}

TEST_P(FilesystemApi, WhatLiesInItIsThereOnlyWhileItIsMounted) {
    make();
    mount();
    std::ofstream(target / "note") << "kept";
    ASSERT_TRUE(api->unmount(target));
    EXPECT_FALSE(fs::exists(target / "note"));
    mount();
    EXPECT_TRUE(fs::exists(target / "note"));
}

TEST_P(FilesystemApi, WhatAnotherMountLiesOnIsBusy) {
    make();
    mount();
    const fs::path child = target / "child";
    fs::create_directory(child);
    if (auto* fake = dynamic_cast<test::FakeSystem*>(api.get()); fake != nullptr)
        fake->entries.push_back({.source = "scratch", .device = 42, .target = child, .type = "tmpfs"});
    else
        ASSERT_EQ(::mount("scratch", child.c_str(), "tmpfs", 0, nullptr), 0) << base::errno_text(errno);
    EXPECT_EQ(api->unmount(target).value(), Unmounted::busy);
    ASSERT_EQ(api->unmount(child).value(), Unmounted::done);
    EXPECT_EQ(api->unmount(target).value(), Unmounted::done);
}

TEST_P(FilesystemApi, GatheringTwiceIsOnce) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(api->gather(target));
    EXPECT_TRUE(there()->peer_group);
    EXPECT_EQ(std::ranges::count(api->mounts().value(), target, &MountEntry::target), 1);
}

INSTANTIATE_TEST_SUITE_P(Both, FilesystemApi, ::testing::Values(Which::fake, Which::system),
                         [](const auto& one) { return one.param == Which::fake ? "fake" : "system"; });

}  // namespace
}  // namespace safe::filesystem
