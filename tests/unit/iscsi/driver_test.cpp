// What opening, closing and changes make of a world in memory, and what they leave alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/iscsi/session_driver.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using model::Mode;
using test::gib;
using test::sample_endpoint;
using test::SessionDriver;
using ::testing::HasSubstr;

// --- opening and closing

TEST_F(SessionDriver, OpeningAttachesWhatIsDeclaredAndNothingElse) {
    must(Mode::open);
    ASSERT_EQ(storage.sessions.size(), 1U);
    const Session& session = storage.sessions.front();
    EXPECT_EQ(session.interface, "safe-atlas");
    EXPECT_EQ(session.units.size(), 2U) << "LUN 9 was never declared";
    EXPECT_EQ(fs::read_symlink(world.link("vault")), "/dev/" + session.unit(1)->device);
    EXPECT_EQ(fs::read_symlink(world.link("data")), "/dev/" + session.unit(2)->device);
}

TEST_F(SessionDriver, ClosingLeavesNothing) {
    must(Mode::open);
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(SessionDriver, ASharedSessionStaysForTheOther) {
    must(Mode::open);
    ASSERT_TRUE(world.detach("vault"));
    EXPECT_TRUE(world.absent("vault"));
    EXPECT_TRUE(world.attached("data"));
    EXPECT_EQ(storage.records.size(), 1U);
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(SessionDriver, LookingNeverContactsTheStorage) {
    const int before = storage.probes;
    storage.silent.insert(sample_endpoint.portal);
    EXPECT_TRUE(world.absent("vault"));
    EXPECT_EQ(storage.probes, before);
}

TEST_F(SessionDriver, FilesAndDevicesHaveNoSession) {
    world.spec.volumes[1].iscsi.reset();
    world.spec.volumes[1].file = specs::Located<specs::FilePath>{{"/srv/data.img", "/srv/data.img"}};
    EXPECT_EQ(world.driver().desire(world.spec, Mode::open).resources.size(), 1U);
}

TEST_F(SessionDriver, DisksOfPausedGuestsStayAttached) {
    specs::VmSpec vm;
    vm.name = "desktop";
    vm.role = {specs::Role::workspace};
    vm.image = specs::Located<specs::FilePath>{{"d.qcow2", "/d.qcow2"}};
    world.spec.vms = {vm};
    world.spec.volumes[1].role = {specs::VolumeRole::disks};
    world.spec.suspend = specs::Located<specs::Suspend>{specs::Suspend::ram};
    for (const Mode mode : {Mode::closed, Mode::locked}) {
        EXPECT_EQ(world.wanted("data", mode).presence, model::Presence::present);
        EXPECT_EQ(world.wanted("vault", mode).presence, model::Presence::absent);
    }
    world.spec.suspend->value = specs::Suspend::disk;
    EXPECT_EQ(world.wanted("data", Mode::closed).presence, model::Presence::absent);
    world.spec.suspend->value = specs::Suspend::ram;
    world.spec.vms.clear();
    EXPECT_EQ(world.wanted("data", Mode::closed).presence, model::Presence::absent);
}

// --- what is not ours, what is unknown, what is in use

TEST_F(SessionDriver, SomebodyElsesSessionIsForeignAndIsNotTouched) {
    storage.sessions.push_back(
        {77, sample_endpoint, "default", "LOGGED_IN", {{1, "sdz", "running", "VAULT1", "", gib}}});
    const auto seen = world.see("vault");
    const auto* foreign = std::get_if<model::Foreign>(&seen);
    ASSERT_NE(foreign, nullptr);
    EXPECT_THAT(foreign->advice, HasSubstr("-r 77 -u"));
    // The planner refuses; should it be asked all the same, so does apply.
    EXPECT_THAT(refusal(), HasSubstr("somebody else is logged in"));
    const auto closed = world.converge(Mode::closed);
    ASSERT_TRUE(closed);
    EXPECT_EQ(storage.sessions.size(), 1U);
    EXPECT_EQ(storage.sessions.front().units.size(), 1U);
}

TEST_F(SessionDriver, SessionsToOtherPlacesAreNoConcernOfOurs) {
    storage.sessions.push_back({77, {"198.51.100.7:3260", "iqn.x:y"}, "default", "LOGGED_IN"});
    must(Mode::open);
    must(Mode::closed);
    EXPECT_EQ(storage.sessions.size(), 1U);
}

TEST_F(SessionDriver, WhatCannotBeLookedAtIsUnknown) {
    must(Mode::open);
    storage.unreadable = true;
    const model::Snapshot snapshot = world.look();
    EXPECT_TRUE(snapshot.enumeration_failed);
    for (const auto& [id, seen] : snapshot.observations) EXPECT_TRUE(std::holds_alternative<model::Unknown>(seen));
    EXPECT_FALSE(world.detach("vault"));
    EXPECT_EQ(storage.sessions.front().units.size(), 2U);
}

TEST_F(SessionDriver, ADeviceInUseIsNotTakenAwayAndItsUserIsNamed) {
    must(Mode::open);
    storage.sessions.front().units[0].users = {"dm-3 (safe-atlas-vault)"};
    EXPECT_THAT(refusal(Mode::closed), HasSubstr("in use: dm-3 (safe-atlas-vault)"));
    EXPECT_TRUE(world.attached("vault"));
}

TEST_F(SessionDriver, WhatIsBlockedIsNotWaitedForAnyLongerAndNothingElseIsTouched) {
    must(Mode::open);
    storage.sessions.push_back({77, {"198.51.100.7:3260", "iqn.x:y"}, "default", "FAILED"});
    storage.sessions.back().units.push_back({1, "sdz", "blocked", "OTHER", "", gib});
    std::vector<std::string> said;
    const driver::Context context{.progress = [&](std::string_view line) { said.emplace_back(line); }};
    world.driver().wait_no_longer(context);
    EXPECT_THAT(said, ::testing::IsEmpty());
    EXPECT_EQ(storage.sessions.front().units.size(), 2U);
    storage.sessions.front().units[1].state = "blocked";
    world.driver().wait_no_longer(context);
    EXPECT_THAT(said, ::testing::ElementsAre(HasSubstr("is not waited for any longer")));
    ASSERT_EQ(storage.sessions.size(), 1U);
    EXPECT_EQ(storage.sessions.front().number, 77U);
    EXPECT_EQ(storage.records.size(), 1U);
    must(Mode::closed);
    EXPECT_THAT(storage.records, ::testing::IsEmpty()) << "closing goes on from there";
}

TEST_F(SessionDriver, AUnitThatSomebodyScannedByHandHoldsTheSessionOnlyWhileItIsUsed) {
    must(Mode::open);
    storage.sessions.front().units.push_back({9, "sdy", "running", "OTHER9", "", gib, {"mounted on /mnt"}});
    EXPECT_THAT(refusal(Mode::closed), HasSubstr("LUN 9 of the same session"));
    storage.sessions.front().units.back().users.clear();
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(SessionDriver, ADeadDeviceKeepsNobodyFromClosing) {
    must(Mode::open);
    for (const Unit& unit : storage.sessions.front().units) storage.dead_devices.insert(unit.device);
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(SessionDriver, AHostWithoutOpenIscsiIsTold) {
    storage.missing = {"iscsiadm"};
    const auto snapshot = world.look();
    ASSERT_EQ(snapshot.refusals.size(), 1U);
    EXPECT_THAT(to_text(snapshot.refusals.front().error), HasSubstr("iscsiadm; install open-iscsi"));
}

// --- links

TEST_F(SessionDriver, ALinkThatIsGoneOrWrongIsMadeAgain) {
    must(Mode::open);
    fs::remove(world.link("vault"));
    fs::remove(world.link("data"));
    fs::create_symlink("/dev/null", world.link("data"));
    EXPECT_FALSE(world.attached("vault"));
    EXPECT_FALSE(world.attached("data"));
    must(Mode::open);
    EXPECT_EQ(storage.sessions.size(), 1U);
}

TEST_F(SessionDriver, AStaleLinkToAnotherVolumesDeviceNeverCostsThatVolumeItsDevice) {
    must(Mode::open);
    const std::string data = storage.sessions.front().unit(2)->device;
    std::erase_if(storage.sessions.front().units, [](const Unit& unit) { return unit.lun == 1; });
    fs::remove(world.link("vault"));
    fs::create_symlink("/dev/" + data, world.link("vault"));
    ASSERT_TRUE(world.detach("vault"));
    EXPECT_TRUE(world.attached("data"));
    EXPECT_TRUE(world.absent("vault"));
}

TEST_F(SessionDriver, ALinkThatLeadsNowhereIsTakenAwayWhenClosing) {
    must(Mode::open);
    storage.sessions.clear();  // somebody logged it out by hand
    storage.records.clear();
    EXPECT_FALSE(world.absent("vault"));
    must(Mode::closed);
    expect_nothing_left();
}

// --- changes and orphans

TEST_F(SessionDriver, AnotherUnitIsAChangeThatTakesDependentsDown) {
    must(Mode::open);
    world.spec.volumes[1].iscsi->lun = {9};
    const auto seen = world.see("data");
    const auto wanted = world.wanted("data", Mode::open);
    const auto changes = planning::difference(std::get<model::Present>(seen).attributes, wanted.attributes);
    const auto assessed = world.driver().classify(model::Action::change, wanted, seen, changes);
    EXPECT_EQ(assessed.verb, "reattach");
    EXPECT_TRUE(assessed.dependents_down);
    EXPECT_EQ(assessed.disruption, model::Disruption::downtime);
    // It is another disk than the one recorded, and that has to be said.
    EXPECT_THAT(refusal(), HasSubstr("OTHER9"));
    EXPECT_NE(storage.sessions.front().unit(2), nullptr) << "what works was given up before the new one was accepted";
    fs::remove(world.record("data"));
    must(Mode::open);
    EXPECT_EQ(storage.sessions.front().unit(2), nullptr);
    EXPECT_NE(storage.sessions.front().unit(9), nullptr);
}

TEST_F(SessionDriver, TheSameDiskAtAnotherPortal) {
    must(Mode::open);
    const Endpoint moved{"192.0.2.11:3260", sample_endpoint.target};
    storage.targets[moved] = storage.targets[sample_endpoint];
    for (specs::VolumeSpec& volume : world.spec.volumes) volume.iscsi->portal = {test::portal_of(moved.portal)};
    must(Mode::open);
    ASSERT_EQ(storage.sessions.size(), 1U);
    EXPECT_EQ(storage.sessions.front().endpoint, moved);
    ASSERT_EQ(storage.records.size(), 1U);
    EXPECT_EQ(storage.records.front().first.endpoint, moved);
}

TEST_F(SessionDriver, APlanReadsWell) {
    const auto wanted = world.wanted("vault", Mode::open);
    const auto added = world.driver().classify(model::Action::add, wanted, model::Absent{}, {});
    EXPECT_EQ(added.verb, "attach");
    EXPECT_EQ(added.summary, "iqn.2026-01.org.example:atlas, LUN 1 at 192.0.2.10:3260");
    must(Mode::open);
    const auto removed = world.driver().classify(model::Action::remove, {.id = wanted.id}, world.see("vault"), {});
    EXPECT_EQ(removed.verb, "detach");
    EXPECT_EQ(removed.summary, added.summary);
}

TEST_F(SessionDriver, AVolumeThatLeftTheFileIsFoundKeptWhileOpenAndDetachedAtClosing) {
    must(Mode::open);
    world.spec.volumes.pop_back();
    restart();
    const auto snapshot = world.look();
    EXPECT_TRUE(snapshot.observations.contains(model::make_id(model::Kind::session, "data")));
    must(Mode::open);
    EXPECT_EQ(storage.sessions.front().units.size(), 2U);
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(SessionDriver, WhatNobodyRemembersStillGoesByItsTargetsName) {
    must(Mode::open);
    world.spec.volumes.clear();
    fs::remove_all(world.places().state_dir());
    fs::remove_all(world.places().run_dir());
    restart();
    const auto snapshot = world.look();
    EXPECT_TRUE(snapshot.observations.contains(model::make_id(model::Kind::session, sample_endpoint.target)));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(SessionDriver, ANodeRecordThatAPowerCutLeftIsRemovedForItHoldsTheSecret) {
    must(Mode::open);
    storage.sessions.clear();
    fs::remove_all(world.places().run_dir());
    EXPECT_FALSE(storage.records.empty());
    must(Mode::closed);
    expect_nothing_left();
}

}  // namespace
}  // namespace safe::iscsi
