// The driver on a storage and a host in memory. Each test asserts what became of that world.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/iscsi/fake_storage.hpp"
#include "tests/support/iscsi/session_world.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using model::Mode;
using ::testing::HasSubstr;

const Endpoint endpoint{"192.0.2.10:3260", "iqn.2026-01.org.example:atlas"};
constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
constexpr const char* uuid = "0f0e0d0c-0b0a-4908-8706-050403020100";

class SessionDriver : public ::testing::Test {
 protected:
    SessionDriver() {
        storage.targets[endpoint].units[1] = {{"VAULT1", "naa.6001", gib, uuid}};
        storage.targets[endpoint].units[2] = {{"DATA2", "naa.6002", 4 * gib, std::nullopt}};
        storage.targets[endpoint].units[9] = {{"OTHER9", "naa.6009", gib, std::nullopt}};
        restart();
    }

    /// A new program in the same world.
    void restart() {
        world.use(make_drivers(world.setting(), std::make_unique<test::FakeProber>(storage),
                               std::make_unique<test::FakeHost>(storage, "safe-atlas"), "/dev"));
    }
    void must(Mode mode) {
        const auto done = world.converge(mode);
        ASSERT_TRUE(done) << to_text(done.error());
        const auto again = world.converge(mode);
        ASSERT_TRUE(again) << to_text(again.error());
        EXPECT_EQ(*again, 0) << "applying twice changed something the second time";
    }
    std::string refusal(Mode mode = Mode::open) {
        const auto done = world.converge(mode);
        return done ? "" : to_text(done.error());
    }
    void expect_nothing_left() {
        EXPECT_TRUE(storage.sessions.empty());
        EXPECT_TRUE(storage.records.empty());
        EXPECT_FALSE(fs::is_symlink(world.link("vault")));
        EXPECT_FALSE(fs::is_symlink(world.link("data")));
    }

    test::FakeStorage storage;
    test::SessionWorld world{endpoint};
};

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
    storage.silent.insert(endpoint.portal);
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

// --- refusals, before the kernel sees anything

class Refused : public SessionDriver {
 protected:
    void expect_refused(const std::string& why) {
        world.spec.volumes.pop_back();  // the vault alone
        EXPECT_THAT(refusal(), HasSubstr(why));
        EXPECT_TRUE(storage.sessions.empty());
        EXPECT_TRUE(storage.records.empty());
        EXPECT_FALSE(fs::is_symlink(world.link("vault")));
    }
    void attach_once() {
        must(Mode::open);
        must(Mode::closed);
    }
    test::FakeUnit& vault() { return storage.targets[endpoint].units[1]; }
};

TEST_F(Refused, AnotherSerialNumber) {
    attach_once();
    vault().identity.serial = "EVIL";
    expect_refused("EVIL, and VAULT1 was recorded");
}
TEST_F(Refused, AnotherIdentifier) {
    attach_once();
    vault().identity.designator = "naa.6666";
    expect_refused("naa.6666");
}
TEST_F(Refused, LessThanThereWas) {
    attach_once();
    vault().identity.capacity = gib / 2;
    expect_refused("512 MiB, and 1 GiB");
}
TEST_F(Refused, AnotherHeader) {
    attach_once();
    vault().identity.luks = "11111111-1111-4111-8111-111111111111";
    expect_refused("header accept");
}
TEST_F(Refused, NoHeaderAnyMore) {
    attach_once();
    vault().identity.luks = std::nullopt;
    expect_refused("is gone");
}
TEST_F(Refused, ARecordThatCannotBeRead) {
    attach_once();
    std::ofstream(world.record("vault")) << "{";
    expect_refused("remove the file");
}
TEST_F(Refused, AnUnknownUnit) {
    storage.targets[endpoint].units.erase(1);
    expect_refused("no disk of this number");
}
TEST_F(Refused, AWriteProtectedUnit) {
    vault().write_protected = true;
    expect_refused("lets nobody write");
}
TEST_F(Refused, ASecretThatOthersCanRead) {
    const std::string file = test::secret_file(world.root() / "chap", "s");
    fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
    test::with_chap(world.spec.volumes[0], "atlas", file);
    expect_refused("others than its owner");
}
TEST_F(Refused, AWrongSecret) {
    storage.targets[endpoint].user = "atlas";
    storage.targets[endpoint].secret = "right-one";
    test::with_chap(world.spec.volumes[0], "atlas", test::secret_file(world.root() / "chap", "wrong-one"));
    expect_refused("513");
    EXPECT_THAT(refusal(), ::testing::Not(HasSubstr("wrong-one")));
}
TEST_F(Refused, ASilentStorage) {
    storage.silent.insert(endpoint.portal);
    expect_refused("silence");
}
TEST_F(Refused, AUnitThatIsAnotherOneWhenTheKernelLooks) {
    storage.before_call = [this](const std::string& call) {
        if (call == "scan") vault().identity.serial = "EVIL";
    };
    expect_refused("was VAULT1 when asked and is EVIL in the kernel");
}

TEST_F(SessionDriver, AProtectedUnitIsWelcomeWhereNobodyWantsToWrite) {
    storage.targets[endpoint].units[2].write_protected = true;
    world.spec.volumes[1].access = {specs::Access::read_only};
    must(Mode::open);
}

TEST_F(SessionDriver, ARemovedRecordAcceptsWhatIsThere) {
    must(Mode::open);
    must(Mode::closed);
    storage.targets[endpoint].units[1].identity.serial = "NEW1";
    EXPECT_THAT(refusal(), HasSubstr(world.record("vault").string()));
    fs::remove(world.record("vault"));
    must(Mode::open);
}

TEST_F(SessionDriver, AHeaderMadeAfterTheFirstAttachIsPinnedFromThenOn) {
    must(Mode::open);
    must(Mode::closed);
    storage.targets[endpoint].units[2].identity.luks = uuid;
    must(Mode::open);
    must(Mode::closed);
    storage.targets[endpoint].units[2].identity.luks = "11111111-1111-4111-8111-111111111111";
    EXPECT_THAT(refusal(), HasSubstr("the volume data"));
}

TEST_F(SessionDriver, AGrownUnitIsMeasuredAgain) {
    must(Mode::open);
    storage.targets[endpoint].units[1].identity.capacity = 2 * gib;
    fs::remove(world.link("vault"));
    must(Mode::open);
    EXPECT_EQ(storage.sessions.front().unit(1)->capacity, 2 * gib);
}

// --- what is not ours, what is unknown, what is in use

TEST_F(SessionDriver, SomebodyElsesSessionIsForeignAndIsNotTouched) {
    storage.sessions.push_back({77, endpoint, "default", "LOGGED_IN", {{1, "sdz", "running", "VAULT1", "", gib}}});
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
    const Endpoint moved{"192.0.2.11:3260", endpoint.target};
    storage.targets[moved] = storage.targets[endpoint];
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
    EXPECT_TRUE(snapshot.observations.contains(model::make_id(model::Kind::session, endpoint.target)));
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

// --- killed anywhere

struct Killed {};

/// Which call of the host, and whether before or after it did its work.
class KilledAt : public SessionDriver, public ::testing::WithParamInterface<int> {
 protected:
    /// Runs until the call of this number, where it ends as by SIGKILL. False when there was no such call.
    bool killed_while(Mode mode) {
        int left = GetParam();
        const auto count = [&left](const std::string& /*call*/) {
            if (left-- == 0) throw Killed{};
        };
        storage.before_call = storage.after_call = count;
        bool killed = false;
        try {
            static_cast<void>(world.converge(mode));
        } catch (const Killed&) {
            killed = true;
        }
        storage.before_call = storage.after_call = [](const std::string&) {};
        restart();
        return killed;
    }
};

TEST_P(KilledAt, OpeningGoesOn) {
    static_cast<void>(killed_while(Mode::open));
    must(Mode::open);
    EXPECT_TRUE(world.attached("vault") && world.attached("data"));
    EXPECT_EQ(storage.sessions.size(), 1U);
    EXPECT_EQ(storage.records.size(), 1U);
}

TEST_P(KilledAt, OpeningCanBeTakenBack) {
    static_cast<void>(killed_while(Mode::open));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_P(KilledAt, OpeningCanBeTakenBackWhenTheVolumesLeftTheFile) {
    static_cast<void>(killed_while(Mode::open));
    world.spec.volumes.clear();
    restart();
    must(Mode::closed);
    expect_nothing_left();
}

TEST_P(KilledAt, ClosingGoesOn) {
    must(Mode::open);
    static_cast<void>(killed_while(Mode::closed));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_P(KilledAt, ClosingCanBeTakenBack) {
    must(Mode::open);
    static_cast<void>(killed_while(Mode::closed));
    must(Mode::open);
    EXPECT_TRUE(world.attached("vault") && world.attached("data"));
}

constexpr int calls_of_opening = 10;  // twice probe and scan, once record and login; before and after each
INSTANTIATE_TEST_SUITE_P(Everywhere, KilledAt, ::testing::Range(0, calls_of_opening + 2));

TEST_F(SessionDriver, TheKillMatrixReachesEveryCall) {
    int calls = 0;
    storage.before_call = [&calls](const std::string& /*call*/) { ++calls; };
    storage.after_call = storage.before_call;
    must(Mode::open);
    EXPECT_EQ(calls, calls_of_opening + 2);
}

}  // namespace
}  // namespace safe::iscsi
