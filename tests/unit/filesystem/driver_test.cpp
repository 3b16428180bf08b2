#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "plugins/filesystem/filesystem_driver.hpp"
#include "plugins/filesystem/provisioning.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/support/filesystem/fake_system.hpp"
#include "tests/support/filesystem/sample_volumes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;
using model::Absent;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Presence;
using model::Present;
using model::ResourceId;
using test::FakeSystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class MountDriver : public ::testing::Test {
 protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "owners of directories are set: needs root";
        system = std::make_shared<FakeSystem>(directory.path() / "shelf");
        for (const char* volume : {"vault", "data", "reference", "disks"}) add_device(volume, "ext4");
        system->devices.at(places.mapped("reference")).write_protected = true;
        restart();
    }

    void add_device(const std::string& volume, const std::string& type) {
        const auto number = makedev(253, static_cast<unsigned>(system->devices.size()));
        const Content content = type.empty() ? Content{} : Content{Content::What::filesystem, type};
        system->devices[places.mapped(volume)] = {.number = number, .content = content, .used = !type.empty()};
    }

    FakeSystem::Device& device(const std::string& volume) { return system->devices.at(places.mapped(volume)); }

    /// What a process that starts anew sees.
    void restart() { driver = std::move(make_drivers({.spec = spec, .places = places, .keys = keys}, system).front()); }

    void mark(const std::string& volume) {
        fs::create_directories(marker_of(places, volume).parent_path());
        std::ofstream(marker_of(places, volume)).flush();
    }

    static ResourceId id(const std::string& volume) { return make_id(Kind::mount, volume); }

    model::Resource wanted(const std::string& volume, Mode mode = Mode::open) {
        for (const model::Resource& resource : driver->desire(spec, mode).resources)
            if (resource.id == id(volume)) return resource;
        throw std::runtime_error("not declared: " + volume);
    }

    model::Observation seen(const std::string& volume) {
        return driver->observe({{id(volume)}, false}, {}).observations.at(id(volume));
    }

    bool as_wanted(const std::string& volume, Mode mode = Mode::open) {
        const model::Resource resource = wanted(volume, mode);
        const model::Observation now = seen(volume);
        if (resource.presence == Presence::absent) return std::holds_alternative<Absent>(now);
        const auto* present = std::get_if<Present>(&now);
        return present != nullptr && present->attributes == resource.attributes;
    }

    base::Result<void> bring_about(const std::string& volume, Mode mode = Mode::open) {
        const model::Resource resource = wanted(volume, mode);
        const model::Observation now = seen(volume);
        model::Step step;
        step.resource = resource.id;
        if (resource.presence == Presence::absent) {
            if (std::holds_alternative<Absent>(now)) return {};
            step.action = model::Action::remove;
        } else if (std::holds_alternative<Present>(now)) {
            if (as_wanted(volume, mode)) return {};
            step.action = model::Action::change;
        }
        return driver->apply(step, resource, now, {});
    }

    static mode_t mode_of(const fs::path& path) {
        struct stat status{};
        if (::lstat(path.c_str(), &status) != 0) return 0;
        return status.st_mode & 07777;
    }

    ::safe::testing::TemporaryDirectory directory;
    specs::SafeSpec spec = test::sample_volumes();
    driver::Places places{"atlas", directory.path() / "state", directory.path() / "run", directory.path() / "srv"};
    driver::KeyRing keys;
    std::shared_ptr<FakeSystem> system;
    std::unique_ptr<driver::Driver> driver;
};

TEST_F(MountDriver, VolumesAreMountedWhileOpenAndNeedTheirMapping) {
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked})
        for (const char* volume : {"vault", "data", "reference", "disks"}) {
            EXPECT_EQ(wanted(volume, mode).presence == Presence::present, mode == Mode::open) << volume;
            EXPECT_THAT(wanted(volume, mode).needs, ::testing::ElementsAre(make_id(Kind::mapping, volume)));
        }
}

TEST_F(MountDriver, DisksOfPausedGuestsStayMounted) {
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

TEST_F(MountDriver, GoesUpAndDownAndFindsNothingLeftToDo) {
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

TEST_F(MountDriver, TheVaultIsRoomForKeysMemoryAndDisks) {
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

TEST_F(MountDriver, ALinkInTheVaultIsNotFollowed) {
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

TEST_F(MountDriver, ANewVolumeGetsItsFileSystemAndLosesTheMarker) {
    add_device("data", "");
    mark("data");
    const auto done = bring_about("data");
    ASSERT_TRUE(done) << to_text(done.error());
    EXPECT_EQ(system->makes, 1);
    EXPECT_EQ(device("data").label, "data");
    EXPECT_FALSE(fs::exists(marker_of(places, "data")));
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(MountDriver, WithoutTheMarkerNothingIsFormatted) {
    add_device("data", "");
    const auto done = bring_about("data");
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("carries no file system"));
    mark("vault");  // of another volume
    EXPECT_FALSE(bring_about("data"));
    EXPECT_EQ(system->makes, 0);
}

TEST_F(MountDriver, WithTheMarkerNothingThatIsThereIsFormatted) {
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

TEST_F(MountDriver, AFileSystemThatWasCutShortIsMadeAgainOnlyWithTheMarker) {
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
TEST_F(MountDriver, KilledAnywhereWhileANewVolumeIsMadeItConvergesAndLosesNothing) {
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

TEST_F(MountDriver, WhatIsMountedThereByOthersIsForeignAndStays) {
    system->entries.push_back({.source = "tmpfs", .device = 42, .target = places.mount_point("data"), .type = "tmpfs"});
    EXPECT_TRUE(std::holds_alternative<model::Foreign>(seen("data")));
    for (const model::Action action : {model::Action::add, model::Action::remove}) {
        model::Step step;
        step.resource = id("data");
        step.action = action;
        const auto done = driver->apply(step, wanted("data"), Absent{}, {});
        EXPECT_EQ(done.has_value(), action == model::Action::remove) << "there is nothing of ours to remove";
    }
    EXPECT_EQ(system->entries.size(), 1U);
}

TEST_F(MountDriver, OursBelowAMountOfOthersIsNeverTakenForAbsent) {
    ASSERT_TRUE(bring_about("data"));
    const int calls = system->calls;
    for (const fs::path& cover : {places.mount_point("data"), places.mount_root(), places.mount_root().parent_path()}) {
        system->entries.push_back({.source = "scratch", .device = 42, .target = cover, .type = "tmpfs"});
        const auto named = AllOf(HasSubstr("scratch of type tmpfs"), HasSubstr("`umount " + cover.string() + "`"));
        const model::Snapshot snapshot = driver->observe({{id("data")}}, {});
        const auto* unknown = std::get_if<model::Unknown>(&snapshot.observations.at(id("data")));
        ASSERT_NE(unknown, nullptr) << cover;
        EXPECT_THAT(to_text(unknown->error), named);
        EXPECT_THAT(snapshot.warnings, ::testing::IsEmpty()) << "the space of another file system";
        for (const Mode mode : {Mode::closed, Mode::open}) {
            const auto done = bring_about("data", mode);
            ASSERT_FALSE(done) << cover;
            EXPECT_THAT(to_text(done.error()), named);
        }
        spec.volumes[1].name = "another";  // ours has left the file
        restart();
        EXPECT_TRUE(
            std::holds_alternative<model::Unknown>(driver->observe({{}, true}, {}).observations.at(id("data"))));
        spec.volumes[1].name = "data";
        restart();
        system->entries.pop_back();
    }
    EXPECT_EQ(system->calls, calls) << "nothing was done to either";
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(MountDriver, AVolumeThatIsMountedElsewhereIsNeverTakenForAbsent) {
    ASSERT_TRUE(bring_about("data"));
    system->entries.back().target = "/elsewhere/data";  // as when a link on the way is changed meanwhile
    const model::Observation now = seen("data");
    const auto* unknown = std::get_if<model::Unknown>(&now);
    ASSERT_NE(unknown, nullptr);
    EXPECT_THAT(to_text(unknown->error), HasSubstr("`umount /elsewhere/data`"));
    for (const Mode mode : {Mode::closed, Mode::open}) EXPECT_FALSE(bring_about("data", mode));
    system->entries.pop_back();
    EXPECT_TRUE(as_wanted("data", Mode::closed));
}

TEST_F(MountDriver, WhatIsMountedBelowAVolumeIsNamedAsWhatHoldsIt) {
    ASSERT_TRUE(bring_about("data"));
    const std::string place = places.mount_point("data") / "x";
    system->entries.push_back({.source = "scratch", .device = 42, .target = place, .type = "tmpfs"});
    EXPECT_TRUE(as_wanted("data")) << "it covers nothing";
    const auto held = bring_about("data", Mode::closed);
    ASSERT_FALSE(held);
    EXPECT_THAT(to_text(held.error()),
                AllOf(HasSubstr("scratch of type tmpfs, mounted on " + place), HasSubstr("`umount " + place + "`")));
    system->entries.pop_back();
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_F(MountDriver, FilesBelowTheMountPointAreNotHidden) {
    fs::create_directories(places.mount_point("data"));
    std::ofstream(places.mount_point("data") / "written-while-closed") << "in clear";
    const auto done = bring_about("data");
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("in clear"));
    EXPECT_TRUE(std::holds_alternative<Absent>(seen("data")));
}

TEST_F(MountDriver, NamesWhoHoldsAVolumeAndGoesOnWhenTheyLetGo) {
    ASSERT_TRUE(bring_about("data"));
    system->held[device("data").number] = {"process 4711 (bash)", "the NFS client 10.77.0.20"};
    const auto held = bring_about("data", Mode::closed);
    ASSERT_FALSE(held);
    EXPECT_THAT(to_text(held.error()), HasSubstr("process 4711 (bash), the NFS client 10.77.0.20"));
    EXPECT_TRUE(as_wanted("data"));
    system->held.clear();
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_F(MountDriver, ACopyInAnotherNamespaceIsNotCalledClosed) {
    ASSERT_TRUE(bring_about("data"));
    system->elsewhere[device("data").number] = {"the mount namespace of process 99 (qemu)"};
    const auto held = bring_about("data", Mode::closed);
    ASSERT_FALSE(held);
    EXPECT_THAT(to_text(held.error()), HasSubstr("process 99 (qemu)"));
    EXPECT_TRUE(std::holds_alternative<Present>(seen("data")));
    EXPECT_FALSE(as_wanted("data", Mode::closed));
    // And while open it is mounted here again.
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
    system->elsewhere.clear();
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_F(MountDriver, AFileSystemThatHasShutDownIsMountedAnewWithEverythingOnItDown) {
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

TEST_F(MountDriver, NothingIsAskedOfASuspendedDeviceWhoeverDoesWaitsForEver) {
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

TEST_F(MountDriver, WhatCannotBeListedIsUnknown) {
    ASSERT_TRUE(bring_about("data"));
    system->blind = base::Error{"list", "what is mounted", "no /proc", "mount it"};
    const model::Snapshot snapshot = driver->observe({{id("data")}}, {});
    EXPECT_TRUE(snapshot.enumeration_failed);
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(snapshot.observations.at(id("data"))));
}

TEST_F(MountDriver, AVolumeThatLeftTheFileIsFoundAndUnmountedWhenClosed) {
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

TEST_F(MountDriver, AnotherFileSystemWouldDestroyAndAnotherAccessTakesDependentsDown) {
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

TEST_F(MountDriver, AMountOfAMappingThatIsGoneIsReplaced) {
    ASSERT_TRUE(bring_about("data"));
    device("data").number = makedev(253, 99);  // closed by force and opened again
    EXPECT_FALSE(as_wanted("data"));
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
    EXPECT_EQ(std::ranges::count(system->entries, places.mount_point("data"), &MountEntry::target), 1);
}

TEST_F(MountDriver, SaysWhenAVolumeIsNearlyFullAndWhenNobodyElseWouldSeeItsMounts) {
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

TEST_F(MountDriver, ItsStepsReadWell) {
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

TEST(PlacesOfMounts, AreWhereALinkOnTheWayLeadsTo) {
    const ::safe::testing::TemporaryDirectory directory;
    const fs::path real = fs::canonical(directory.path());
    const auto root = [&](const fs::path& mount_dir) {
        return driver::Places("atlas", "/state", "/run/safe", mount_dir).mount_root();
    };
    EXPECT_EQ(root(real / "none" / "yet"), real / "none" / "yet" / "atlas") << "made later";
    fs::create_directories(real / "volumes" / "safe");
    fs::create_directory_symlink("volumes", real / "srv");
    EXPECT_EQ(root(real / "srv" / "safe"), real / "volumes" / "safe" / "atlas");
    EXPECT_EQ(root(real / "srv" / "later"), real / "volumes" / "later" / "atlas");
    fs::create_directory_symlink(real / "nowhere", real / "dangling");
    EXPECT_EQ(root(real / "dangling"), real / "dangling" / "atlas") << "nothing can be mounted there";
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
