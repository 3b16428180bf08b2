// What only comes after something, and does not rest on it: the order is kept, and what does not come up is passed by.
#include <gtest/gtest.h>

#include <algorithm>

#include "reconciler/applying/rounds.hpp"
#include "tests/support/memory_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::applying {
namespace {

using model::Attributes;
using model::Kind;
using model::make_id;
using model::Presence;
using model::Resource;
using model::ResourceId;

using Lines = std::vector<std::string>;

const ResourceId network = make_id(Kind::network, "n");
const ResourceId vm_a = make_id(Kind::vm, "a");
const ResourceId power_a = make_id(Kind::power, "a");
const ResourceId power_b = make_id(Kind::power, "b");
const ResourceId open = make_id(Kind::ruleset, "open");

/// Two guests, and the rules that let people in to them.
class Follows : public ::testing::Test {
 protected:
    static Resource wanted(const ResourceId& id, std::vector<ResourceId> needs, int version = 1) {
        return {id, Presence::present, Attributes().set("version", version), std::move(needs)};
    }

    std::vector<Resource> desired(model::Mode mode) const {
        Resource rules = wanted(open, {network}, rules_);
        rules.after = {power_a, power_b};
        std::vector<Resource> all{wanted(network, {}, network_), wanted(vm_a, {}), wanted(power_a, {vm_a, network}),
                                  wanted(power_b, {network}), rules};
        if (mode == model::Mode::open) return all;
        for (Resource& one : all)
            if (one.id != network && one.id != vm_a) one.presence = Presence::absent;
        return all;
    }

    model::Report reach(model::Mode mode) {
        world_.log.clear();
        std::vector<std::unique_ptr<driver::Driver>> drivers;
        drivers.push_back(std::make_unique<testing::MemoryDriver>(
            world_, std::vector{Kind::network, Kind::vm, Kind::power, Kind::ruleset},
            [this](model::Mode one) { return desired(one); }));
        DriverSet set(std::move(drivers));
        const specs::SafeSpec spec;
        const Goal goal{.spec = spec, .mode = mode};
        Planned first = look_and_plan(goal, set, {});
        auto journal = Journal::open(directory_.path() / "journal.jsonl");
        Listener nobody;
        const Execution execution{.drivers = set, .journal = *journal, .listener = nobody, .stop = {}};
        return applying::apply(goal, std::move(first), execution,
                               {.deferred = std::chrono::minutes(1), .between = std::chrono::milliseconds(2)});
    }

    bool did(const std::string& line) const { return std::ranges::find(world_.log, line) != world_.log.end(); }

    testing::TemporaryDirectory directory_;
    testing::MemoryWorld world_;
    int network_ = 1;
    int rules_ = 1;
};

TEST_F(Follows, ItComesLastAndGoesFirst) {
    reach(model::Mode::open);
    EXPECT_EQ(world_.log.back(), "add ruleset/open");
    reach(model::Mode::closed);
    EXPECT_EQ(world_.log.front(), "remove ruleset/open");
    EXPECT_EQ(world_.log.size(), 3U);
}

TEST_F(Follows, AGuestThatDoesNotWakeKeepsNobodyOutOfTheOthers) {
    world_.failing = {power_a};
    EXPECT_EQ(reach(model::Mode::open).remaining.steps.size(), 1U);
    EXPECT_EQ(world_.log.back(), "add ruleset/open");
    EXPECT_TRUE(did("add power/b"));
}

TEST_F(Follows, NorDoesOneThatWasNotBegun) {
    world_.failing = {vm_a};
    reach(model::Mode::open);
    EXPECT_FALSE(did("add power/a"));
    EXPECT_EQ(world_.log.back(), "add ruleset/open");
}

TEST_F(Follows, NorDoesOneThatCannotBeSeen) {
    world_.unreadable.emplace(power_a, base::Error{"look at", "power/a", "the line is dead"});
    EXPECT_TRUE(reach(model::Mode::open).remaining.blocked.empty());
    EXPECT_EQ(world_.log.back(), "add ruleset/open");
}

TEST_F(Follows, WhatIsTakenBackGoesAlthoughAGuestCannotBeSeen) {
    reach(model::Mode::open);
    rules_ = 2;
    world_.unreadable.emplace(power_a, base::Error{"look at", "power/a", "the line is dead"});
    reach(model::Mode::open);
    EXPECT_EQ(world_.log, Lines{"change ruleset/open"});
}

TEST_F(Follows, OneThatCanOnlyBeSeenLaterIsWaitedFor) {
    world_.hidden_until[power_a] = vm_a;
    reach(model::Mode::open);
    EXPECT_TRUE(did("add power/a"));
    EXPECT_EQ(world_.log.back(), "add ruleset/open");
}

TEST_F(Follows, WhatItRestsOnIsNotPassedBy) {
    world_.failing = {network};
    reach(model::Mode::open);
    EXPECT_FALSE(did("add ruleset/open"));
}

TEST_F(Follows, PeopleAreCutOffBeforeTheGroundIsTakenFromAGuestAndComeBackWithoutIt) {
    reach(model::Mode::open);
    network_ = 2;
    world_.dependents_down = {network};
    world_.on_apply = [this](const model::Step& step) {
        if (step.resource == network) world_.failing = {power_a};
    };
    reach(model::Mode::open);
    EXPECT_EQ(world_.log.size(), 7U);
    EXPECT_EQ(world_.log.front(), "remove ruleset/open");
    EXPECT_EQ(world_.log[3], "change network/n");
    EXPECT_EQ(world_.log.back(), "add ruleset/open");
    EXPECT_FALSE(world_.things.contains(power_a));
}

}  // namespace
}  // namespace safe::applying
