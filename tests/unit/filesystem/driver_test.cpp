// The mounts of volumes: what is wanted in which mode, what is seen, what a difference means.
#include "tests/unit/filesystem/mount_fixture.hpp"

namespace safe::filesystem {
namespace {

TEST_F(DriverOfMounts, VolumesAreMountedWhileOpenAndNeedTheirMapping) {
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked})
        for (const char* volume : {"vault", "data", "reference", "disks"}) {
            EXPECT_EQ(wanted(volume, mode).presence == Presence::present, mode == Mode::open) << volume;
            EXPECT_THAT(wanted(volume, mode).needs, ::testing::ElementsAre(make_id(Kind::mapping, volume)));
        }
}

TEST_F(DriverOfMounts, DisksOfPausedGuestsStayMounted) {
    spec.suspend->value = specs::Suspend::ram;
    EXPECT_EQ(wanted("disks", Mode::locked).presence, Presence::absent) << "no guest has a disk";
    specs::VmSpec vm;
    vm.role = {specs::Role::workspace};
    vm.image = specs::Located<specs::FilePath>{};
    spec.vms = {vm};
    for (const Mode mode : {Mode::closed, Mode::locked}) {
        EXPECT_EQ(wanted("disks", mode).presence, Presence::present);
        EXPECT_EQ(wanted("vault", mode).presence, Presence::absent);
        EXPECT_EQ(wanted("data", mode).presence, Presence::absent);
    }
}

TEST_F(DriverOfMounts, GoesUpAndDownAndFindsNothingLeftToDo) {
    for (const char* volume : {"vault", "data", "reference", "disks"}) {
        EXPECT_TRUE(std::holds_alternative<Absent>(seen(volume)));
        const auto done = bring_about(volume);
        ASSERT_TRUE(done) << to_text(done.error());
        EXPECT_TRUE(as_wanted(volume)) << volume;
        EXPECT_THAT(std::get<Present>(seen(volume)).needs, ::testing::ElementsAre(make_id(Kind::mapping, volume)));
    }
    EXPECT_EQ(system->makes, 0);
    for (const char* volume : {"vault", "data", "reference", "disks"}) {
        ASSERT_TRUE(bring_about(volume, Mode::closed));
        EXPECT_TRUE(as_wanted(volume, Mode::closed));
    }
}

TEST_F(DriverOfMounts, TheVaultIsRoomForKeysMemoryAndDisks) {
    ASSERT_TRUE(bring_about("vault"));
    const fs::path vault = places.mount_point("vault");
    EXPECT_EQ(mode_of(vault), 0711U);
    EXPECT_EQ(mode_of(vault / "keys"), 0700U);
    EXPECT_EQ(mode_of(vault / "memory"), 0700U);
    EXPECT_EQ(mode_of(vault / "disks"), 0711U);
    fs::permissions(vault / "keys", fs::perms(0755));
    const auto changes = planning::difference(std::get<Present>(seen("vault")).attributes, wanted("vault").attributes);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(model::to_text(changes[0].path), "directories.keys");
    const auto cost = driver->classify(model::Action::change, wanted("vault"), seen("vault"), changes);
    EXPECT_EQ(cost.disruption, model::Disruption::live);
    EXPECT_FALSE(cost.dependents_down);
    ASSERT_TRUE(bring_about("vault"));
    EXPECT_EQ(mode_of(vault / "keys"), 0700U);
    EXPECT_EQ(system->calls, 3) << "it was not mounted anew";  // gather, check, mount
}

TEST_F(DriverOfMounts, ALinkInTheVaultIsNotFollowed) {
    ASSERT_TRUE(bring_about("vault"));
    const fs::path keys_place = places.mount_point("vault") / "keys";
    fs::remove(keys_place);
    fs::create_directory(directory.path() / "outside");
    fs::permissions(directory.path() / "outside", fs::perms(0755));
    fs::create_directory_symlink(directory.path() / "outside", keys_place);
    EXPECT_FALSE(as_wanted("vault"));
    EXPECT_FALSE(bring_about("vault"));
    EXPECT_EQ(mode_of(directory.path() / "outside"), 0755U);
}

TEST_F(DriverOfMounts, AFileSystemThatHasShutDownIsMountedAnewWithEverythingOnItDown) {
    ASSERT_TRUE(bring_about("vault"));
    device("vault").shut_down = true;
    const auto changes = planning::difference(std::get<Present>(seen("vault")).attributes, wanted("vault").attributes);
    const auto cost = driver->classify(model::Action::change, wanted("vault"), seen("vault"), changes);
    EXPECT_EQ(cost.verb, "remount");
    EXPECT_TRUE(cost.dependents_down);
    ASSERT_TRUE(bring_about("vault"));
    EXPECT_TRUE(as_wanted("vault"));
    device("vault").shut_down = true;
    ASSERT_TRUE(bring_about("vault", Mode::closed));
    EXPECT_TRUE(as_wanted("vault", Mode::closed));
}

TEST_F(DriverOfMounts, NothingIsAskedOfASuspendedDeviceWhoeverDoesWaitsForEver) {
    ASSERT_TRUE(bring_about("data"));
    device("data").suspended = true;
    const model::Snapshot snapshot = driver->observe({{id("data")}}, {});
    ASSERT_TRUE(std::holds_alternative<model::Unknown>(snapshot.observations.at(id("data"))));
    EXPECT_THAT(to_text(std::get<model::Unknown>(snapshot.observations.at(id("data"))).error),
                AllOf(HasSubstr("is suspended"), HasSubstr("dmsetup resume safe-atlas-data")));
    EXPECT_THAT(snapshot.warnings, ::testing::IsEmpty()) << "not even how much space is left";
    const int calls = system->calls;
    for (const Mode mode : {Mode::closed, Mode::open}) {
        const auto done = bring_about("data", mode);
        ASSERT_FALSE(done);
        EXPECT_THAT(to_text(done.error()), HasSubstr("is suspended"));
    }
    EXPECT_EQ(system->calls, calls);
    device("data").number = makedev(253, 99);  // by another name, the mount stays on the one that is suspended
    device("data").suspended = false;
    system->devices["/dev/mapper/renamed"] = {.number = system->entries.back().device, .suspended = true};
    EXPECT_FALSE(bring_about("data", Mode::closed));
    EXPECT_EQ(system->calls, calls);
    system->devices["/dev/mapper/renamed"].suspended = false;
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_F(DriverOfMounts, WhatCannotBeListedIsUnknown) {
    ASSERT_TRUE(bring_about("data"));
    system->blind = base::Error{"list", "what is mounted", "no /proc", "mount it"};
    const model::Snapshot snapshot = driver->observe({{id("data")}}, {});
    EXPECT_TRUE(snapshot.enumeration_failed);
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(snapshot.observations.at(id("data"))));
}

TEST_F(DriverOfMounts, AVolumeThatLeftTheFileIsFoundAndUnmountedWhenClosed) {
    ASSERT_TRUE(bring_about("data"));
    spec.volumes.erase(spec.volumes.begin() + 1);
    restart();
    const model::Snapshot snapshot = driver->observe({{id("vault")}}, {});
    const auto found = snapshot.observations.find(id("data"));
    ASSERT_NE(found, snapshot.observations.end());
    const auto& present = std::get<Present>(found->second);
    EXPECT_THAT(present.needs, ::testing::ElementsAre(make_id(Kind::mapping, "data")));
    EXPECT_EQ(driver->orphan(id("data"), present, Mode::open), Presence::present);
    EXPECT_EQ(driver->orphan(id("data"), present, Mode::closed), Presence::absent);
    EXPECT_EQ(driver->orphan(id("data"), present, Mode::locked), Presence::absent);
}

TEST_F(DriverOfMounts, AnotherFileSystemWouldDestroyAndAnotherAccessTakesDependentsDown) {
    ASSERT_TRUE(bring_about("data"));
    spec.volumes[1].filesystem = {specs::Filesystem::xfs};
    auto changes = planning::difference(std::get<Present>(seen("data")).attributes, wanted("data").attributes);
    auto cost = driver->classify(model::Action::change, wanted("data"), seen("data"), changes);
    EXPECT_EQ(cost.disruption, model::Disruption::irreversible);
    EXPECT_THAT(cost.destroys, HasSubstr("data"));
    spec.volumes[1].filesystem = {specs::Filesystem::ext4};
    spec.volumes[1].access = {specs::Access::read_only};
    changes = planning::difference(std::get<Present>(seen("data")).attributes, wanted("data").attributes);
    cost = driver->classify(model::Action::change, wanted("data"), seen("data"), changes);
    EXPECT_TRUE(cost.dependents_down);
    EXPECT_TRUE(cost.destroys.empty());
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(DriverOfMounts, AMountOfAMappingThatIsGoneIsReplaced) {
    ASSERT_TRUE(bring_about("data"));
    device("data").number = makedev(253, 99);  // closed by force and opened again
    EXPECT_FALSE(as_wanted("data"));
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
    EXPECT_EQ(std::ranges::count(system->entries, places.mount_point("data"), &MountEntry::target), 1);
}

TEST_F(DriverOfMounts, SaysWhenAVolumeIsNearlyFullAndWhenNobodyElseWouldSeeItsMounts) {
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(driver->observe({{id("data")}}, {}).warnings.empty());
    system->room.free = 49;
    EXPECT_THAT(driver->observe({{id("data")}}, {}).warnings, ::testing::ElementsAre(HasSubstr("nearly full")));
    system->room = {.size = 1000, .free = 900, .inodes = 1000, .free_inodes = 0};
    EXPECT_THAT(driver->observe({{id("data")}}, {}).warnings, ::testing::ElementsAre(HasSubstr("inodes")));
    EXPECT_TRUE(driver->observe({{id("data")}}, {}).refusals.empty());
    system->host_namespace = false;
    EXPECT_EQ(driver->observe({{id("data")}}, {}).refusals.size(), 1U);
}

TEST_F(DriverOfMounts, ItsStepsReadWell) {
    const auto add = [&](const char* volume) {
        return driver->classify(model::Action::add, wanted(volume), Absent{}, {});
    };
    EXPECT_EQ(add("vault").verb, "mount");
    EXPECT_EQ(add("vault").summary, "ext4, private to the hypervisor");
    EXPECT_EQ(add("data").summary, "ext4");
    EXPECT_EQ(add("reference").summary, "ext4, read-only");
    ASSERT_TRUE(bring_about("data"));
    const auto gone = driver->classify(model::Action::remove, wanted("data", Mode::closed), seen("data"), {});
    EXPECT_EQ(gone.verb, "unmount");
    EXPECT_EQ(gone.summary, "ext4");
}

}  // namespace
}  // namespace safe::filesystem
