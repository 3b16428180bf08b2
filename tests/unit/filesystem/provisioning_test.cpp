// When a volume is given its first file system, and when never.
#include "tests/unit/filesystem/mount_fixture.hpp"

namespace safe::filesystem {
namespace {

TEST_F(DriverOfMounts, ANewVolumeGetsItsFileSystemAndLosesTheMarker) {
    add_device("data", "");
    mark("data");
    const auto done = bring_about("data");
    ASSERT_TRUE(done) << to_text(done.error());
    EXPECT_EQ(system->makes, 1);
    EXPECT_EQ(device("data").label, "data");
    EXPECT_FALSE(fs::exists(marker_of(places, "data")));
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(DriverOfMounts, WithoutTheMarkerNothingIsFormatted) {
    add_device("data", "");
    const auto done = bring_about("data");
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("carries no file system"));
    mark("vault");  // of another volume
    EXPECT_FALSE(bring_about("data"));
    EXPECT_EQ(system->makes, 0);
}

TEST_F(DriverOfMounts, WithTheMarkerNothingThatIsThereIsFormatted) {
    mark("data");
    for (const Content& content :
         {Content{Content::What::other, "LVM2_member"}, Content{Content::What::other, "a partition table"},
          Content{Content::What::filesystem, "btrfs"}}) {
        device("data").content = content;
        EXPECT_FALSE(bring_about("data"));
    }
    device("data").content = {Content::What::filesystem, "ext4"};
    device("data").sound = false;  // used, and now broken
    const auto done = bring_about("data");
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("e2fsck"));
    EXPECT_EQ(system->makes, 0);
    EXPECT_TRUE(fs::exists(marker_of(places, "data")));
}

TEST_F(DriverOfMounts, AFileSystemThatWasCutShortIsMadeAgainOnlyWithTheMarker) {
    for (const char* type : {"ext4", "xfs"}) {
        spec.volumes[1].filesystem = {type == std::string("xfs") ? specs::Filesystem::xfs : specs::Filesystem::ext4};
        add_device("data", type);
        device("data").sound = device("data").used = false;
        const int before = system->makes;
        EXPECT_FALSE(bring_about("data")) << type;
        EXPECT_EQ(system->makes, before);
        mark("data");
        const auto done = bring_about("data");
        ASSERT_TRUE(done) << to_text(done.error());
        EXPECT_EQ(system->makes, before + 1);
        ASSERT_TRUE(bring_about("data", Mode::closed));
    }
}

// Killed at every call, before it and after its effect, with a file system that members then use.

TEST_F(DriverOfMounts, KilledAnywhereWhileANewVolumeIsMadeItConvergesAndLosesNothing) {
    for (const bool after : {false, true})
        for (int at = 0, killed = 1; killed != 0; ++at) {
            killed = 0;
            for (const char* volume : {"vault", "data"}) {
                add_device(volume, "");
                mark(volume);
                system->calls = 0;
                system->killed_at = at;
                system->killed_after = after;
                try {
                    const auto done = bring_about(volume);
                    EXPECT_TRUE(done) << "not killed, and failed: " << to_text(done.error());
                } catch (const test::Killed&) {
                    ++killed;
                }
                system->killed_at = -1;
                restart();
                const auto done = bring_about(volume);
                ASSERT_TRUE(done) << volume << " killed at " << at << ": " << to_text(done.error());
                EXPECT_TRUE(as_wanted(volume));
                EXPECT_FALSE(fs::exists(marker_of(places, volume)));
                EXPECT_EQ(system->used_lost, 0) << volume << " killed at " << at;
                EXPECT_LE(system->makes, 2);
                ASSERT_TRUE(bring_about(volume, Mode::closed));
                system->makes = 0;
            }
        }
}

TEST(NeverUsed, WhatCannotBeToldCountsAsUsed) {
    std::string start(start_size, '\0');
    EXPECT_FALSE(never_used("ext4", start));
    start.replace(1024 + 0x38, 2, "\x53\xEF");
    EXPECT_TRUE(never_used("ext4", start));
    EXPECT_FALSE(never_used("xfs", start));
    EXPECT_FALSE(never_used("btrfs", start));
    EXPECT_FALSE(never_used("ext4", start.substr(0, start_size - 1)));
    for (const std::size_t offset : {0x2CU, 0x2FU, 0x34U, 0x275U}) {
        std::string used = start;
        used[1024 + offset] = '\1';
        EXPECT_FALSE(never_used("ext4", used)) << offset;
    }
}

}  // namespace
}  // namespace safe::filesystem
