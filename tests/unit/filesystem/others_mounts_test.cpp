// Who else mounts or holds something where a volume belongs: it is never hidden, never taken for absent, and named.
#include "tests/unit/filesystem/mount_fixture.hpp"

namespace safe::filesystem {
namespace {

TEST_F(DriverOfMounts, WhatIsMountedThereByOthersIsForeignAndStays) {
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

TEST_F(DriverOfMounts, OursBelowAMountOfOthersIsNeverTakenForAbsent) {
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

TEST_F(DriverOfMounts, AVolumeThatIsMountedElsewhereIsNeverTakenForAbsent) {
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

TEST_F(DriverOfMounts, WhatIsMountedBelowAVolumeIsNamedAsWhatHoldsIt) {
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

TEST_F(DriverOfMounts, FilesBelowTheMountPointAreNotHidden) {
    fs::create_directories(places.mount_point("data"));
    std::ofstream(places.mount_point("data") / "written-while-closed") << "in clear";
    const auto done = bring_about("data");
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("in clear"));
    EXPECT_TRUE(std::holds_alternative<Absent>(seen("data")));
}

TEST_F(DriverOfMounts, NamesWhoHoldsAVolumeAndGoesOnWhenTheyLetGo) {
    ASSERT_TRUE(bring_about("data"));
    system->held[device("data").number] = {"process 4711 (bash)", "the NFS client 10.77.0.20"};
    const auto held = bring_about("data", Mode::closed);
    ASSERT_FALSE(held);
    EXPECT_THAT(to_text(held.error()), HasSubstr("process 4711 (bash), the NFS client 10.77.0.20"));
    EXPECT_TRUE(as_wanted("data"));
    system->held.clear();
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_F(DriverOfMounts, ACopyInAnotherNamespaceIsNotCalledClosed) {
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

}  // namespace
}  // namespace safe::filesystem
