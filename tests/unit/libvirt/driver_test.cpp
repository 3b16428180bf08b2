// What the drivers want and what they say that changes cost; and the whole of it over libvirt's own test hypervisor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/libvirt_driver.hpp"
#include "plugins/libvirt/libvirt_lib.hpp"
#include "plugins/libvirt/power_switch.hpp"
#include "tests/support/libvirt/sample_safe.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

using model::Action;
using model::Attributes;
using model::Branch;
using model::Bytes;
using model::Disruption;
using model::Kind;
using model::Mode;
using model::Presence;
using model::Resource;
using model::ResourceId;
using ::testing::HasSubstr;

struct Wanted {
    std::map<ResourceId, Resource> resources;
    std::vector<model::Refusal> refusals;
};

Wanted desire(const specs::SafeSpec& spec, Mode mode) {
    Wanted wanted;
    for (const auto& driver : make_drivers({.uri = *spec.hypervisor, .safe = "t", .state_dir = "/s"})) {
        driver::Desire desire = driver->desire(spec, mode);
        for (Resource& resource : desire.resources) wanted.resources.emplace(resource.id, std::move(resource));
        std::ranges::move(desire.refusals, std::back_inserter(wanted.refusals));
    }
    return wanted;
}

TEST(Desire, NeedsAreTheSameInEveryModeAndOnlyAWorkspacesPowerComesAndGoes) {
    const Wanted open = desire(test::sample_safe(), Mode::open);
    for (const Mode mode : {Mode::closed, Mode::locked}) {
        const Wanted other = desire(test::sample_safe(), mode);
        ASSERT_EQ(other.resources.size(), open.resources.size());
        for (const auto& [id, resource] : open.resources) {
            EXPECT_EQ(other.resources.at(id).needs, resource.needs) << to_text(id);
            const bool sleeps = id == make_id(Kind::power, "desk");
            EXPECT_EQ(other.resources.at(id).presence, sleeps ? Presence::absent : Presence::present) << to_text(id);
            EXPECT_EQ(resource.presence, Presence::present) << to_text(id);
        }
    }
}

TEST(Desire, NamesEverythingAndWhatItRestsOn) {
    std::string text;
    for (const auto& [id, resource] : desire(test::sample_safe(), Mode::open).resources) {
        text += to_text(id) + ":";
        for (const ResourceId& need : resource.needs) text += " " + to_text(need);
        text += "\n";
    }
    EXPECT_EQ(text,
              "network/t:\n"
              "image/images/gate.qcow2:\n"
              "image/initrd:\n"
              "image/kernel:\n"
              "disk/gate: image/images/gate.qcow2\n"
              "vm/desk: image/initrd image/kernel\n"
              "vm/gate: disk/gate\n"
              "power/desk: vm/desk network/t ruleset/base\n"
              "power/gate: vm/gate network/t ruleset/base\n");
}

TEST(Desire, WithoutANetworkNobodyNeedsOne) {
    specs::SafeSpec spec = test::sample_safe();
    spec.network.reset();
    const Wanted wanted = desire(spec, Mode::open);
    EXPECT_FALSE(wanted.resources.contains(make_id(Kind::network, "t")));
    const Resource& power = wanted.resources.at(make_id(Kind::power, "gate"));
    EXPECT_EQ(power.needs, std::vector{make_id(Kind::vm, "gate")});
    EXPECT_EQ(power.attributes.find("nic"), nullptr);
}

TEST(Desire, RefusesByNameWhatThisBuildCannotDo) {
    const auto refused = [](const specs::SafeSpec& spec) {
        std::string text;
        for (const model::Refusal& refusal : desire(spec, Mode::closed).refusals) text += refusal.subject + "\n";
        return text;
    };
    EXPECT_EQ(refused(test::sample_safe()), "");

    specs::SafeSpec spec = test::sample_safe();
    spec.suspend->value = specs::Suspend::disk;
    EXPECT_THAT(refused(spec), HasSubstr("suspend: disk"));
    spec.vms.pop_back();
    EXPECT_EQ(refused(spec), "") << "nobody is suspended";

    spec = test::sample_safe();
    spec.network->uplink = specs::Uplink{};
    EXPECT_THAT(refused(spec), HasSubstr("network.uplink"));

    spec = test::sample_safe();
    spec.vms[0].image->value = {"gate.iso", "/srv/t/gate.iso"};
    EXPECT_THAT(refused(spec), HasSubstr("image"));

    spec = test::sample_safe();
    spec.hypervisor.value = "lxc:///";
    EXPECT_THAT(refused(spec), HasSubstr("vms.gate.image"));
    EXPECT_THAT(refused(spec), HasSubstr("vms.desk.boot"));

    spec = test::sample_safe();
    spec.vms[1].boot->kernel.value = {"/images/gate.qcow2", "/images/gate.qcow2"};
    EXPECT_THAT(refused(spec), HasSubstr("/images/gate.qcow2")) << "two files, one name";
}

TEST(Desire, AWorkspacesDiskIsSaidToLieInClear) {
    specs::SafeSpec spec = test::sample_safe();
    EXPECT_TRUE(desire(spec, Mode::open).resources.at(make_id(Kind::disk, "gate")).notes.empty());
    spec.vms[0].role.value = specs::Role::workspace;
    EXPECT_THAT(desire(spec, Mode::open).resources.at(make_id(Kind::disk, "gate")).notes,
                ::testing::ElementsAre(HasSubstr("in clear")));
}

TEST(WayTo, LiveIsOnlyWhatAGuestCanTakeWhileItRuns) {
    const Attributes live = Attributes()
                                .set("cpus", 2)
                                .set("cpus-max", 4)
                                .set("memory", Bytes{64})
                                .set("memory-max", Bytes{128})
                                .set("boot", Branch().set("cmdline", "quiet"))
                                .set("state", "running");
    const auto way = [&](std::string_view key, model::Value value) {
        Attributes wanted = live;
        wanted.set(key, std::move(value));
        return way_to(live, wanted);
    };
    EXPECT_EQ(way_to(live, live), Way::nothing);
    EXPECT_EQ(way("state", "paused"), Way::nothing);
    EXPECT_EQ(way("cpus", 3), Way::adjust);
    EXPECT_EQ(way("cpus", 1), Way::restart);
    EXPECT_EQ(way("cpus-max", 8), Way::restart);
    EXPECT_EQ(way("memory", Bytes{128}), Way::adjust);
    EXPECT_EQ(way("memory", Bytes{32}), Way::adjust);
    EXPECT_EQ(way("memory-max", Bytes{256}), Way::restart);
    EXPECT_EQ(way("boot", Branch().set("cmdline", "loud")), Way::restart);
    EXPECT_EQ(way("extra", Branch().set("hostdev", "x")), Way::restart);
}

TEST(UntilItsRestart, OnlyWhatCanBeGivenAtOnceIsADifference) {
    const Attributes live = Attributes()
                                .set("cpus", 2)
                                .set("cpus-max", 4)
                                .set("memory", Bytes{64})
                                .set("memory-max", Bytes{128})
                                .set("boot", Branch().set("cmdline", "quiet"));
    struct Case {
        int cpus;
        std::uint64_t memory;
        bool gives_cpus;
        bool gives_memory;
    };
    for (const auto& [cpus, memory, gives_cpus, gives_memory] : {Case{2, 64, false, false},
                                                                 {3, 128, true, true},
                                                                 {4, 32, true, true},
                                                                 {5, 129, false, false},
                                                                 {1, 64, false, false}}) {
        SCOPED_TRACE(cpus);
        Attributes wanted = live;
        wanted.set("cpus", cpus).set("memory", Bytes{memory}).set("memory-max", Bytes{256}).set("cpus-max", 8);
        wanted.set("boot", Branch().set("cmdline", "loud"));
        const Attributes reach = within_reach(live, wanted);
        EXPECT_EQ(*reach.find("cpus"), model::Value(gives_cpus ? cpus : 2));
        EXPECT_EQ(*reach.find("memory"), model::Value(Bytes{gives_memory ? memory : 64}));
        EXPECT_EQ(*reach.find("boot"), *live.find("boot"));
        Attributes expected = wanted;
        if (gives_cpus) expected.set("cpus", 2);
        if (gives_memory) expected.set("memory", Bytes{64});
        EXPECT_EQ(until_its_restart(live, wanted), expected);
        EXPECT_EQ(until_its_restart(reach, wanted), wanted) << "once it is given, nothing is left";
    }
}

TEST(Orphans, SleepWithTheSafeUnlessTheyServe) {
    const auto driver = make_power_driver(nullptr, Layout("t", "/s"), specs::Suspend::ram, std::chrono::seconds(1));
    const auto orphan = [&](const char* role, Mode mode) {
        return driver->orphan(make_id(Kind::power, "x"),
                              {.attributes = {}, .needs = {}, .facts = Attributes().set("role", role)}, mode);
    };
    EXPECT_EQ(orphan("service", Mode::closed), Presence::present);
    EXPECT_EQ(orphan("workspace", Mode::open), Presence::present);
    EXPECT_EQ(orphan("workspace", Mode::closed), Presence::absent);
    EXPECT_EQ(orphan("workspace", Mode::locked), Presence::absent);
    EXPECT_EQ(orphan("", Mode::closed), Presence::absent) << "what cannot be told is the safer of the two";
}

TEST(Orphans, SleepInTheVaultWhereThereIsOne) {
    Keep keep;
    keep.workspaces = {"desk"};
    const auto summary = [&](const char* vm) {
        const auto driver =
            make_power_driver(nullptr, Layout("t", "/s", keep), specs::Suspend::ram, std::chrono::seconds(1));
        return driver->classify(Action::remove, {.id = make_id(Kind::power, vm)}, model::Present{}, {}).summary;
    };
    EXPECT_EQ(summary("gone"), "in RAM") << "there is no other place";
    keep.vault = "vault";
    EXPECT_EQ(summary("gone"), "to disk, in the vault");
    EXPECT_EQ(summary("desk"), "in RAM");
}

TEST(ClassifyDisk, LosesNothingWithoutSayingSo) {
    const auto driver = make_disk_driver(nullptr, Layout("t", "/s"));
    const model::Present present{
        .attributes = Attributes().set("image", "image/a.img").set("version", "any").set("size", Bytes{10}),
        .needs = {},
        .facts = Attributes().set("size", Bytes{10}).set("base-size", Bytes{5}).set("base-sha256", "abc")};
    const auto cost = [&](const char* image, const char* version, model::Value size) {
        const Resource resource{
            .id = make_id(Kind::disk, "x"),
            .presence = Presence::present,
            .attributes = Attributes().set("image", image).set("version", version).set("size", std::move(size))};
        return driver->classify(Action::change, resource, present, {});
    };
    EXPECT_EQ(cost("image/a.img", "any", Bytes{20}).disruption, Disruption::live);
    EXPECT_EQ(cost("image/a.img", "abc", Bytes{10}).disruption, Disruption::none) << "the digest it has";
    for (const model::Assessment& loss :
         {cost("image/b.img", "any", Bytes{10}), cost("image/a.img", "def", Bytes{10}),
          cost("image/a.img", "any", Bytes{9}), cost("image/a.img", "any", "as its image")}) {
        EXPECT_EQ(loss.disruption, Disruption::irreversible);
        EXPECT_NE(loss.destroys, "");
    }
}

/// libvirt's own hypervisor, in this process: what the drivers ask of the real API is asked for real.
class OverTheTestHypervisor : public ::testing::Test {
 protected:
    model::Observation look(const ResourceId& id) {
        for (const auto& driver : drivers_)
            if (driver->kinds()[0] == id.kind)
                return driver->observe({.ids = {id}, .enumerate = false}, {}).observations.at(id);
        throw std::logic_error("no driver");
    }

    base::Result<void> do_step(Action action, const ResourceId& id, Mode mode, bool bracket = false) {
        model::Step step;
        step.resource = id;
        step.action = action;
        if (bracket) step.bracket = make_id(Kind::network, "t");
        for (const auto& driver : drivers_) {
            if (driver->kinds()[0] != id.kind) continue;
            for (const Resource& resource : driver->desire(spec_, mode).resources)
                if (resource.id == id) return driver->apply(step, resource, look(id), {});
        }
        throw std::logic_error("not declared");
    }

    [[nodiscard]] Attributes wanted(const ResourceId& id) const {
        for (const auto& driver : drivers_)
            for (const Resource& resource : driver->desire(spec_, Mode::open).resources)
                if (resource.id == id) return resource.attributes;
        throw std::logic_error("not declared");
    }

    testing::TemporaryDirectory home_;
    specs::SafeSpec spec_ = test::sample_safe();
    std::vector<std::unique_ptr<driver::Driver>> drivers_ = make_drivers(
        {.uri = "test:///default", .safe = "t", .state_dir = home_.path(), .grace = std::chrono::seconds(5)});
    const ResourceId network_ = make_id(Kind::network, "t");
    const ResourceId vm_ = make_id(Kind::vm, "gate");
    const ResourceId power_ = make_id(Kind::power, "gate");
};

TEST_F(OverTheTestHypervisor, StepsEndInWhatTheyPromiseAndMayBeRepeated) {
    spec_.vms[0].image.reset();  // a disk needs a file, and no file is needed to pretend
    EXPECT_TRUE(std::holds_alternative<model::Absent>(look(network_)));
    EXPECT_TRUE(std::holds_alternative<model::Absent>(look(vm_)));
    for (const ResourceId& id : {network_, vm_, power_}) {
        for (int again = 0; again < 2; ++again) {
            const base::Result<void> done = do_step(Action::add, id, Mode::open);
            ASSERT_TRUE(done) << to_text(id) << ": " << to_text(done.error());
        }
        const model::Observation seen = look(id);
        ASSERT_TRUE(std::holds_alternative<model::Present>(seen)) << to_text(id);
        const Attributes promised = wanted(id);
        for (const model::Entry& entry : promised.entries()) {
            const model::Value* value = std::get<model::Present>(seen).attributes.find(entry.key);
            ASSERT_NE(value, nullptr) << to_text(id) << " " << entry.key;
            EXPECT_EQ(to_text(*value), to_text(entry.value)) << to_text(id) << " " << entry.key;
        }
    }
    ASSERT_TRUE(do_step(Action::remove, power_, Mode::closed));
    ASSERT_TRUE(do_step(Action::remove, power_, Mode::closed)) << "it sleeps already";
    const model::Observation asleep = look(power_);
    ASSERT_TRUE(std::holds_alternative<model::Absent>(asleep));
    EXPECT_EQ(*model::get<std::string>(std::get<model::Absent>(asleep).facts, "suspended"), "ram");
    ASSERT_TRUE(do_step(Action::add, power_, Mode::open));
    EXPECT_TRUE(std::holds_alternative<model::Present>(look(power_)));
    ASSERT_TRUE(do_step(Action::remove, power_, Mode::open, true));
    const model::Observation off = look(power_);
    ASSERT_TRUE(std::holds_alternative<model::Absent>(off));
    EXPECT_TRUE(std::get<model::Absent>(off).facts.empty()) << "off, not asleep";
}

TEST_F(OverTheTestHypervisor, ABridgeThatAnotherNetworkHasIsSaidBeforehand) {
    const SharedApi somebody = make_libvirt_api("test:///default");  // the same world while one of us is connected
    const base::Result<void> taken =
        somebody->define_network("<network><name>other</name><bridge name='br-t'/></network>");
    ASSERT_TRUE(taken) << to_text(taken.error());
    const std::vector<Resource> wanted = drivers_[0]->desire(spec_, Mode::open).resources;
    const model::Snapshot snapshot = drivers_[0]->observe({.ids = {network_}, .enumerate = true, .wanted = wanted}, {});
    const auto* foreign = std::get_if<model::Foreign>(&snapshot.observations.at(network_));
    ASSERT_NE(foreign, nullptr);
    EXPECT_THAT(foreign->what, HasSubstr("other already has the bridge br-t"));
}

TEST_F(OverTheTestHypervisor, AnImageThatIsNotThereIsUnknownBeforehand) {
    const std::vector<Resource> wanted = drivers_[1]->desire(spec_, Mode::open).resources;
    const model::Snapshot snapshot =
        drivers_[1]->observe({.ids = {wanted[0].id}, .enumerate = true, .wanted = wanted}, {});
    const auto* unknown = std::get_if<model::Unknown>(&snapshot.observations.at(wanted[0].id));
    ASSERT_NE(unknown, nullptr);
    EXPECT_THAT(unknown->error.advice, HasSubstr("path in the spec"));
}

TEST(Connecting, ToNothingIsUnknownWithAdvice) {
    const auto drivers =
        make_drivers({.uri = "qemu+unix:///system?socket=/nowhere/libvirt-sock", .safe = "t", .state_dir = "/s"});
    const ResourceId id = make_id(Kind::vm, "gate");
    for (const auto& driver : drivers) {
        if (driver->kinds()[0] != Kind::vm) continue;
        const model::Snapshot snapshot = driver->observe({.ids = {id}}, {});
        ASSERT_TRUE(snapshot.enumeration_failed);
        const auto* unknown = std::get_if<model::Unknown>(&snapshot.observations.at(id));
        ASSERT_NE(unknown, nullptr);
        EXPECT_THAT(unknown->error.advice, HasSubstr("is libvirtd running?"));
    }
}

}  // namespace
}  // namespace safe::libvirt
