#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/nfs/nfs_driver.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/support/nfs/fake_server.hpp"
#include "tests/support/nfs/sample_exports.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::nfs {
namespace {

using model::Absent;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Presence;
using model::Present;
using model::ResourceId;
using test::FakeServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExportDriver : public ::testing::Test {
 protected:
    void SetUp() override {
        for (const char* volume : {"vault", "data", "reference", "disks"})
            server->mounts[places.mount_point(volume)] = static_cast<dev_t>(server->mounts.size() + 1);
        restart();
    }

    void restart() { driver = std::move(make_drivers({.spec = spec, .places = places, .keys = keys}, server).front()); }
    static ResourceId id(const std::string& volume) { return make_id(Kind::exported, volume); }

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
        if (resource.presence == Presence::absent) step.action = model::Action::remove;
        return driver->apply(step, resource, now, {});
    }
    std::vector<std::string> granted(const std::string& volume) {
        std::vector<std::string> clients;
        for (const Export& one : server->content.granted)
            if (one.path == places.mount_point(volume)) clients.push_back(one.client);
        std::ranges::sort(clients);
        return clients;
    }
    void by_hand(const std::string& path, const std::string& client, std::set<std::string> options = {"rw"}) {
        server->content.granted.push_back({path, client, std::move(options)});
    }

    /// Somebody edits the file: network and VMs are in 10.78.0.0/24 now.
    void move_network() {
        spec.network->address = {specs::parse_interface_address("10.78.0.1/24").value()};
        for (specs::VmSpec& vm : spec.vms)
            vm.address = {specs::parse_ipv4("10.78" + to_text(**vm.address).substr(5)).value()};
        restart();
    }

    specs::SafeSpec spec = test::sample_exports();
    testing::TemporaryDirectory directory;
    driver::Places places{"atlas", "/var/lib/safe/atlas", directory.path()};
    driver::KeyRing keys;
    std::shared_ptr<FakeServer> server = std::make_shared<FakeServer>();
    std::unique_ptr<driver::Driver> driver;
};

TEST_F(ExportDriver, WhatVmsMountIsExportedWhileOpenAndNothingElseEver) {
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked}) {
        EXPECT_EQ(wanted("data", mode).presence == Presence::present, mode == Mode::open);
        EXPECT_EQ(wanted("vault", mode).presence, Presence::absent);
        EXPECT_EQ(wanted("disks", mode).presence, Presence::absent);
        EXPECT_THAT(wanted("data", mode).needs,
                    ElementsAre(make_id(Kind::mount, "data"), make_id(Kind::network, "atlas")));
    }
    spec.vms.clear();
    EXPECT_EQ(wanted("data").presence, Presence::absent) << "nobody mounts it";
}

TEST_F(ExportDriver, EachVolumeGoesToTheVmsThatMountItAndToNobodyElse) {
    for (const char* volume : {"data", "reference"}) {
        EXPECT_TRUE(std::holds_alternative<Absent>(seen(volume)));
        const auto done = bring_about(volume);
        ASSERT_TRUE(done) << to_text(done.error());
        EXPECT_TRUE(as_wanted(volume));
    }
    EXPECT_THAT(granted("data"), ElementsAre("10.77.0.20", "10.77.0.21"));
    EXPECT_THAT(granted("reference"), ElementsAre("10.77.0.20"));
    for (const Export& one : server->content.granted) {
        EXPECT_TRUE(one.options.contains("root_squash") && one.options.contains("mountpoint") &&
                    one.options.contains("sync") && one.options.contains("sec=sys"));
        EXPECT_EQ(one.options.contains("ro"), one.path == places.mount_point("reference"));
    }
    EXPECT_EQ(server->starts, 1);
    const int grants = server->grants;
    ASSERT_TRUE(bring_about("data"));
    EXPECT_EQ(server->grants, grants) << "nothing was left to do";
}

TEST_F(ExportDriver, TheIdentityOfAVolumeStaysTheSameAcrossClosings) {
    ASSERT_TRUE(bring_about("data"));
    const auto options = server->content.granted.front().options;
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_THAT(server->content.granted, IsEmpty());
    ASSERT_TRUE(bring_about("data"));
    EXPECT_EQ(server->content.granted.front().options, options);
    ASSERT_TRUE(bring_about("reference"));
    EXPECT_NE(server->content.granted.back().options, options);
}

TEST_F(ExportDriver, ClosingEndsWhatFrozenClientsHoldOfTheVolumeAndNothingElse) {
    for (const char* volume : {"data", "reference"}) ASSERT_TRUE(bring_about(volume));
    const dev_t data = server->mounts.at(places.mount_point("data"));
    server->held[data] = {{"3", "10.77.0.20"}, {"5", "10.77.0.21"}};
    server->held[99] = {{"9", "192.0.2.7"}};
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_TRUE(as_wanted("data", Mode::closed));
    EXPECT_THAT(server->held[data], IsEmpty());
    EXPECT_EQ(server->held[99].size(), 1U);
}

TEST_F(ExportDriver, TheLastWithdrawalStopsTheServerWhoseThreadsKeepWhatWasWritten) {
    for (const char* volume : {"data", "reference"}) ASSERT_TRUE(bring_about(volume));
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_GT(server->state.threads, 0U) << "the other is still exported";
    EXPECT_TRUE(as_wanted("data", Mode::closed));
    ASSERT_TRUE(bring_about("reference", Mode::closed));
    EXPECT_EQ(server->state.threads, 0U);
    for (const char* volume : {"data", "reference"}) EXPECT_TRUE(as_wanted(volume, Mode::closed));
    // Killed between withdrawing and stopping.
    ASSERT_TRUE(server->start("10.77.0.1"));
    const model::Observation now = seen("data");
    ASSERT_TRUE(std::holds_alternative<Present>(now));
    EXPECT_THAT(driver->classify(model::Action::remove, wanted("data", Mode::closed), now, {}).summary,
                HasSubstr("the NFS server itself"));
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_EQ(server->state.threads, 0U);
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(ExportDriver, PacketsThatStayAreSaidAndDoNotHoldUpClosing) {
    ASSERT_TRUE(bring_about("data"));
    server->packets_stay = base::Error{"free", "packets", "this process may use 1 of 2 processors", "let it"};
    std::string said;
    const model::Resource resource = wanted("data", Mode::closed);
    model::Step step;
    step.resource = resource.id;
    step.action = model::Action::remove;
    ASSERT_TRUE(driver->apply(step, resource, seen("data"), {.progress = [&](std::string_view line) { said = line; }}));
    EXPECT_THAT(said, HasSubstr("1 of 2 processors"));
    EXPECT_EQ(server->state.threads, 0U);
}

TEST_F(ExportDriver, AServerThatOthersNeedGoesOnAndThatIsSaid) {
    ASSERT_TRUE(bring_about("data"));
    by_hand("/srv/pub", "*", {"ro"});
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_GT(server->state.threads, 0U);
    EXPECT_TRUE(as_wanted("data", Mode::closed));
    EXPECT_THAT(driver->observe({{id("data")}}, {}).warnings, ElementsAre(HasSubstr("goes on running for /srv/pub")));
}

TEST_F(ExportDriver, WhatIsHeldStillKeepsTheExportThereUntilItIsEnded) {
    // Killed between withdrawing and ending: the table is empty, and the volume could not be unmounted.
    ASSERT_TRUE(bring_about("data"));
    const dev_t data = server->mounts.at(places.mount_point("data"));
    server->content = {};
    server->held[data] = {{"3", "10.77.0.20"}};
    const model::Observation now = seen("data");
    ASSERT_TRUE(std::holds_alternative<Present>(now));
    EXPECT_EQ(driver->classify(model::Action::remove, wanted("data", Mode::closed), now, {}).summary, "from desktop");
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_TRUE(as_wanted("data", Mode::closed));
    ASSERT_TRUE(bring_about("reference"));  // or there would be no server that holds anything
    server->held[data] = {{"3", "10.77.0.20"}};
    server->stubborn = true;
    const auto held = bring_about("data", Mode::closed);
    ASSERT_FALSE(held);
    EXPECT_THAT(to_text(held.error()), HasSubstr("10.77.0.20"));
}

TEST_F(ExportDriver, AnExportToSomebodyElseIsSeenAndTakenAway) {
    ASSERT_TRUE(bring_about("data"));
    const std::string data = places.mount_point("data");
    const dev_t device = server->mounts.at(data);
    for (const auto& [path, client] : std::vector<std::pair<std::string, std::string>>{
             {data, "192.0.2.66"}, {data, "*"}, {data + "/project", "10.77.0.20"}}) {
        by_hand(path, client);
        server->held[device] = {{"1", "10.77.0.20"}, {"2", "192.0.2.66"}};
        EXPECT_FALSE(as_wanted("data")) << path << " to " << client;
        ASSERT_TRUE(bring_about("data"));
        EXPECT_TRUE(as_wanted("data"));
        ASSERT_EQ(server->held[device].size(), 1U) << "who may stay keeps what it holds";
        EXPECT_EQ(server->held[device][0].address, "10.77.0.20");
    }
    server->content.cached.push_back({data, "192.0.2.66", {"rw"}});
    EXPECT_FALSE(as_wanted("data")) << "in the kernel's table alone";
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(ExportDriver, AnswersThatTheKernelKeepsAreWaitedForBecauseTheyKeepTheVolume) {
    for (const char* volume : {"data", "reference"}) ASSERT_TRUE(bring_about(volume));
    server->content.cached = {{places.mount_point("data"), "10.77.0.20", {}}, {"/srv/pub", "*", {}}};
    server->ahead = std::chrono::seconds(4);
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_THAT(server->content.cached, IsEmpty());
    server->content.cached = {{places.mount_point("data"), "10.77.0.20", {}}};
    EXPECT_FALSE(as_wanted("data", Mode::closed)) << "it could not be unmounted";
}

TEST_F(ExportDriver, OptionsThatSomebodyLoosenedArePutBack) {
    ASSERT_TRUE(bring_about("data"));
    for (const auto& [strict, loose] : std::vector<std::pair<std::string, std::string>>{
             {"root_squash", "no_root_squash"}, {"secure", "insecure"}, {"sync", "async"}}) {
        auto& options = server->content.granted.front().options;
        options.erase(strict);
        options.insert(loose);
        EXPECT_FALSE(as_wanted("data")) << loose;
        ASSERT_TRUE(bring_about("data"));
        EXPECT_TRUE(as_wanted("data")) << loose;
    }
}

TEST_F(ExportDriver, AnExportOfTheVaultIsTakenAwayInEveryMode) {
    server->state = {.threads = 8, .versions = {"4.2"}, .listeners = {"10.77.0.1:2049"}};
    by_hand(places.mount_point("vault") / "keys", "10.77.0.20");
    for (const Mode mode : {Mode::open, Mode::closed}) EXPECT_FALSE(as_wanted("vault", mode));
    ASSERT_TRUE(bring_about("vault", Mode::open));
    EXPECT_THAT(server->content.granted, IsEmpty());
    EXPECT_TRUE(as_wanted("vault"));
}

TEST_F(ExportDriver, ExportsOfOthersAreNotTouchedAndWaysInAreReported) {
    by_hand("/srv/pub", "*", {"ro"});
    by_hand("/srv/safe/atlas-two/data", "*", {"ro"});
    by_hand("/srv", "192.0.2.9", {"rw", "crossmnt"});
    const auto before = server->content.granted;
    ASSERT_TRUE(bring_about("data"));
    const model::Snapshot snapshot = driver->observe({{id("data")}}, {});
    EXPECT_EQ(snapshot.observations.size(), 1U);
    EXPECT_THAT(snapshot.warnings, ElementsAre(HasSubstr("/srv is exported to 192.0.2.9")));
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_EQ(server->content.granted, before);
}

TEST_F(ExportDriver, AServerOfSomebodyElsesIsRefusedWithAdvice) {
    for (const Server& other : {Server{8, {"4.2"}, {"0.0.0.0:2049", "[::]:2049"}, {}, {}},
                                Server{8, {"3", "4.2"}, {"10.77.0.1:2049"}, {}, {}},
                                Server{8, {"4.2"}, {"10.77.0.1:2049", "192.0.2.1:2049"}, {}, {}},
                                Server{8, {"4.2"}, {"10.77.0.1:2049"}, {}, {"groups by the hypervisor"}}}) {
        server->state = other;
        const model::Observation now = seen("data");
        ASSERT_TRUE(std::holds_alternative<model::Foreign>(now));
        EXPECT_THAT(std::get<model::Foreign>(now).advice, HasSubstr("host=10.77.0.1"));
        EXPECT_FALSE(bring_about("data"));
        EXPECT_EQ(server->starts, 0);
        // And still what is exported of ours is seen as ours, and closing takes it away.
        by_hand(places.mount_point("data"), "10.77.0.20");
        EXPECT_FALSE(as_wanted("data"));
        EXPECT_TRUE(std::holds_alternative<Present>(seen("data")));
        ASSERT_TRUE(bring_about("data", Mode::closed));
        EXPECT_THAT(server->content.granted, IsEmpty());
    }
}

TEST_F(ExportDriver, AServerOfTheSystemsOwnThatServesAsWantedIsUsed) {
    server->state = {.threads = 16, .versions = {"4.2"}, .listeners = {"10.77.0.1:2049"}};
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
    EXPECT_EQ(server->starts, 0);
    server->state.missing = {"rpc.mountd"};
    EXPECT_FALSE(as_wanted("data")) << "nobody answers the kernel";
    ASSERT_TRUE(bring_about("data"));
    EXPECT_TRUE(as_wanted("data"));
}

TEST_F(ExportDriver, WhenTheNetworkMovesTheServerGoesWithTheLastExportAndStartsAtTheNewAddress) {
    for (const char* volume : {"data", "reference"}) ASSERT_TRUE(bring_about(volume));
    move_network();
    for (const char* volume : {"data", "reference"}) {  // as a bracket does it: all down, then all up
        const auto withdrawn = bring_about(volume, Mode::closed);
        ASSERT_TRUE(withdrawn) << to_text(withdrawn.error());
        EXPECT_TRUE(std::holds_alternative<Absent>(seen(volume)));
    }
    EXPECT_EQ(server->state.threads, 0U);
    for (const char* volume : {"data", "reference"}) {
        const auto exported = bring_about(volume);
        ASSERT_TRUE(exported) << to_text(exported.error());
        EXPECT_TRUE(as_wanted(volume));
    }
    EXPECT_EQ(server->state.listeners, std::set<std::string>{"10.78.0.1:2049"});
}

TEST_F(ExportDriver, ClosingAfterTheFileWasEditedStopsTheServerThatKeepsWhatWasWritten) {
    ASSERT_TRUE(bring_about("data"));
    move_network();
    server->content = {};  // killed between withdrawing and stopping
    EXPECT_TRUE(std::holds_alternative<Present>(seen("data")));
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_EQ(server->state.threads, 0U);
    EXPECT_TRUE(as_wanted("data", Mode::closed));
    // Who comes after it at that address is nobody we know.
    server->state = {.threads = 8, .versions = {"4.2"}, .listeners = {"10.77.0.1:2049"}};
    EXPECT_TRUE(std::holds_alternative<model::Foreign>(seen("data")));
}

TEST_F(ExportDriver, AServerLeftAtTheAddressBeforeMovesUnlessOthersNeedIt) {
    ASSERT_TRUE(bring_about("reference"));
    move_network();
    by_hand("/srv/pub", "*", {"ro"});
    const auto needed = bring_about("data");
    ASSERT_FALSE(needed);
    EXPECT_THAT(to_text(needed.error()), HasSubstr("still at 10.77.0.1, for it exports /srv/pub"));
    std::erase_if(server->content.granted, [](const Export& one) { return one.path == "/srv/pub"; });
    const auto moved = bring_about("data");
    ASSERT_TRUE(moved) << to_text(moved.error());
    EXPECT_TRUE(as_wanted("data"));
    EXPECT_THAT(granted("reference"), IsEmpty()) << "its guests have other addresses by now";
}

TEST_F(ExportDriver, WhoListensAtThePortOfAnotherAddressDoesNotKeepTheServer) {
    ASSERT_TRUE(bring_about("data"));
    server->state.listeners.insert("127.0.0.1:2049");
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_EQ(server->state.threads, 0U);
}

TEST_F(ExportDriver, WhatAPowerCutLeftInTheTableIsNotServedAgain) {
    by_hand(places.mount_point("reference"), "10.77.0.20");
    by_hand(places.mount_point("old"), "10.77.0.99");
    by_hand("/srv/pub", "*");
    EXPECT_TRUE(std::holds_alternative<Absent>(seen("reference")));
    ASSERT_TRUE(bring_about("data"));
    EXPECT_THAT(granted("reference"), IsEmpty());
    EXPECT_THAT(granted("old"), IsEmpty());
    EXPECT_EQ(server->content.granted.front().path, "/srv/pub");
}

TEST_F(ExportDriver, NothingIsExportedThatIsNotMounted) {
    server->mounts.erase(places.mount_point("data"));
    const auto done = bring_about("data");
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("not mounted"));
    EXPECT_THAT(server->content.granted, IsEmpty());
}

TEST_F(ExportDriver, WhatCannotBeLookedAtIsUnknown) {
    server->blind = base::Error{"read", "etab", "Permission denied", "run as root"};
    const model::Snapshot snapshot = driver->observe({{id("data")}}, {});
    EXPECT_TRUE(snapshot.enumeration_failed);
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(snapshot.observations.at(id("data"))));
}

TEST_F(ExportDriver, AVolumeThatLeftTheFileIsWithdrawnWhenClosed) {
    ASSERT_TRUE(bring_about("data"));
    spec.volumes.erase(spec.volumes.begin() + 1);
    const model::Snapshot snapshot = driver->observe({{id("vault")}}, {});
    const auto found = snapshot.observations.find(id("data"));
    ASSERT_NE(found, snapshot.observations.end());
    const auto& present = std::get<Present>(found->second);
    EXPECT_THAT(present.needs, ElementsAre(make_id(Kind::mount, "data"), make_id(Kind::network, "atlas")));
    EXPECT_EQ(driver->orphan(id("data"), present, Mode::open), Presence::present);
    EXPECT_EQ(driver->orphan(id("data"), present, Mode::closed), Presence::absent);
}

TEST_F(ExportDriver, ItsStepsReadWell) {
    const auto add = driver->classify(model::Action::add, wanted("data"), Absent{}, {});
    EXPECT_EQ(add.verb, "export");
    EXPECT_EQ(add.summary, "to desktop, forge");
    EXPECT_EQ(add.disruption, model::Disruption::none);
    ASSERT_TRUE(bring_about("data"));
    const auto gone = driver->classify(model::Action::remove, wanted("data", Mode::closed), seen("data"), {});
    EXPECT_EQ(gone.verb, "withdraw");
    EXPECT_EQ(gone.summary, "from desktop, forge");
    EXPECT_EQ(wanted("data").labels.at("10.77.0.20"), "desktop");
}

}  // namespace
}  // namespace safe::nfs
