// Planning in a mode that puts things away (closed, locked): what lies on them is asked nothing, what must be done
// there brings them up for a moment, and closing goes on past what fails.
#include <gtest/gtest.h>

#include "reconciler/applying/rounds.hpp"
#include "reconciler/planning/planner.hpp"
#include "tests/support/memory_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::planning {
namespace {

using model::Attributes;
using model::Kind;
using model::make_id;
using model::Plan;
using model::Presence;
using model::ResourceId;

const ResourceId session = make_id(Kind::session, "v");
const ResourceId container = make_id(Kind::container, "v");
const ResourceId mapping = make_id(Kind::mapping, "v");
const ResourceId keyslot{Kind::keyslot, "v/carol"};
const ResourceId account = make_id(Kind::account, "carol");
const ResourceId disk = make_id(Kind::disk, "a");
const ResourceId vm = make_id(Kind::vm, "a");

class PutAway : public ::testing::Test {
 protected:
    PutAway() { spec_.safe.value = "atlas"; }

    void want(const ResourceId& id, std::vector<ResourceId> needs, int version = 1) {
        desired_.push_back({id, Presence::present, Attributes().set("version", version), std::move(needs)});
    }
    void put_away(const ResourceId& id, std::vector<ResourceId> needs) {
        desired_.push_back({id, Presence::absent, Attributes().set("version", 1), std::move(needs)});
    }
    void there(const ResourceId& id, std::vector<ResourceId> needs, int version = 1) {
        world_.things[id] = {.attributes = Attributes().set("version", version), .needs = std::move(needs)};
    }
    void lies_on(const ResourceId& id, const ResourceId& ground) { world_.hidden_until[id] = ground; }

    applying::Planned look() {
        std::vector<std::unique_ptr<driver::Driver>> drivers;
        drivers.push_back(
            std::make_unique<testing::MemoryDriver>(world_,
                                                    std::vector{Kind::session, Kind::container, Kind::mapping,
                                                                Kind::keyslot, Kind::disk, Kind::vm, Kind::account},
                                                    desired_));
        set_ = std::make_unique<applying::DriverSet>(std::move(drivers));
        return applying::look_and_plan({.spec = spec_, .mode = mode_}, *set_, {});
    }
    Plan plan() { return look().plan; }

    model::Report apply() {
        applying::Planned first = look();
        auto journal = applying::Journal::open(directory_.path() / "journal.jsonl");
        EXPECT_TRUE(journal.has_value());
        applying::Listener silent;
        const applying::Execution execution{.drivers = *set_, .journal = *journal, .listener = silent, .stop = {}};
        return applying::apply({.spec = spec_, .mode = mode_}, std::move(first), execution,
                               {.deferred = std::chrono::milliseconds(0)});
    }

    static std::vector<std::string> steps(const Plan& plan) {
        std::vector<std::string> lines;
        for (const model::Step& step : plan.steps)
            lines.push_back(std::string(to_text(step.action)) + " " + to_text(step.resource));
        return lines;
    }

    testing::TemporaryDirectory directory_;
    specs::SafeSpec spec_;
    model::Mode mode_ = model::Mode::closed;
    testing::MemoryWorld world_;
    std::vector<model::Resource> desired_;
    std::unique_ptr<applying::DriverSet> set_;
};

using Lines = std::vector<std::string>;

TEST_F(PutAway, WhatLiesOnItIsDormantAndSoIsWhatNeedsThat) {
    put_away(mapping, {});
    want(disk, {mapping});
    lies_on(disk, mapping);
    want(vm, {disk});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    EXPECT_TRUE(made.deferred.empty());
    EXPECT_TRUE(made.blocked.empty());
    ASSERT_EQ(made.dormant.size(), 2U);
    EXPECT_EQ(made.dormant[0].on, mapping);
    EXPECT_EQ(made.dormant[1].on, disk);
}

TEST_F(PutAway, WhatIsWantedStaysDeferred) {
    mode_ = model::Mode::open;
    want(mapping, {});
    want(disk, {mapping});
    lies_on(disk, mapping);
    EXPECT_EQ(plan().deferred.size(), 1U);
}

TEST_F(PutAway, AStepThatNeedsItBringsItUpForAMoment) {
    put_away(session, {});
    want(container, {session});
    there(container, {session});
    there(keyslot, {container});
    want(keyslot, {container}, 2);
    const Plan made = plan();
    EXPECT_EQ(steps(made), (Lines{"add session/v", "change keyslot/v/carol", "remove session/v"}));
    EXPECT_EQ(made.steps[0].bracket, keyslot);
    apply();
    EXPECT_EQ(world_.log, (Lines{"add session/v", "change keyslot/v/carol", "remove session/v"}));
    EXPECT_FALSE(world_.things.contains(session));
}

TEST_F(PutAway, ItIsTakenDownAgainWhenTheStepFails) {
    put_away(session, {});
    want(container, {session}, 2);
    there(container, {session});
    world_.failing.insert(container);
    apply();
    EXPECT_EQ(world_.log, (Lines{"add session/v", "change container/v", "remove session/v"}));
    EXPECT_FALSE(world_.things.contains(session));
}

TEST_F(PutAway, ARemovalOfAnOrphanHasItBroughtUpToo) {
    put_away(session, {});
    want(container, {session});
    there(container, {session});
    there(keyslot, {container});
    EXPECT_EQ(steps(plan()), (Lines{"add session/v", "remove keyslot/v/carol", "remove session/v"}));
}

TEST_F(PutAway, NothingIsBroughtUpForAStepThatWaitsForAPerson) {
    put_away(session, {});
    want(container, {session});
    there(container, {session});
    want(keyslot, {container});
    world_.waits_for[keyslot] = "a sponsor";
    EXPECT_EQ(steps(plan()), (Lines{"add keyslot/v/carol"}));
    apply();
    EXPECT_TRUE(world_.log.empty());
}

TEST_F(PutAway, WhereThatWouldNeedAPersonTheStepSleeps) {
    put_away(mapping, {});
    world_.waits_for[mapping] = "a key";
    want(container, {mapping}, 2);
    there(container, {mapping});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.dormant.size(), 1U);
    EXPECT_EQ(made.dormant[0].resource, container);
}

TEST_F(PutAway, WhatRestsOnAStepThatSleepsSleepsToo) {
    put_away(mapping, {});
    world_.waits_for[mapping] = "a key";
    want(container, {mapping}, 2);
    there(container, {mapping});
    want(keyslot, {container}, 2);
    there(keyslot, {container});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    EXPECT_EQ(made.dormant.size(), 2U);
}

TEST_F(PutAway, NothingIsBroughtUpForAStepThatIsBlocked) {
    put_away(session, {});
    world_.unreadable[disk] = {"look at", "disk/a", "permission denied"};
    want(disk, {});
    want(container, {session, disk}, 2);
    there(container, {session, disk});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    EXPECT_EQ(made.blocked.size(), 1U);
}

TEST_F(PutAway, WhatGoesInEveryModeDoesNotInsist) {
    // An access that is taken away comes in its order: the entry must not go while the keyslot that it names stays.
    there(container, {});
    want(container, {});
    const ResourceId first{Kind::keyslot, "v/first"};
    there(first, {keyslot});
    there(keyslot, {container});
    world_.failing.insert(first);
    apply();
    EXPECT_TRUE(world_.things.contains(keyslot)) << "it is removed after the other one, or not at all";
}

TEST_F(PutAway, AnAccountGoesAfterTheKeyslotOfWhoLeft) {
    put_away(session, {});
    want(container, {session});
    there(container, {session});
    there(keyslot, {container, account});
    there(account, {});
    for (const char* user : {"alice", "bob", "dave"}) {  // or it would be too many at once
        const ResourceId theirs = make_id(Kind::keyslot, "v", user);
        want(theirs, {container});
        there(theirs, {container});
    }
    EXPECT_EQ(steps(plan()),
              (Lines{"add session/v", "remove keyslot/v/carol", "remove account/carol", "remove session/v"}));
    ASSERT_TRUE(plan().refusals.empty());
    world_.failing.insert(keyslot);
    apply();
    EXPECT_EQ(world_.log, (Lines{"add session/v", "remove keyslot/v/carol", "remove session/v"}));
    EXPECT_TRUE(world_.things.contains(account)) << "not at all while the keyslot is there";
    world_.failing.clear();
    world_.failing.insert(session);
    apply();
    EXPECT_TRUE(world_.things.contains(account)) << "nor while the header is out of reach";
    world_.failing.clear();
    apply();
    EXPECT_FALSE(world_.things.contains(keyslot));
    EXPECT_FALSE(world_.things.contains(account));
}

TEST_F(PutAway, AnAccountStaysWhileNobodyCanSeeWhetherThereIsAKeyslot) {
    const ResourceId alices{Kind::keyslot, "v/alice"};
    put_away(session, {});
    want(container, {session});
    lies_on(container, session);
    want(alices, {container});
    lies_on(alices, container);
    there(account, {});
    for (const char* user : {"alice", "bob", "dave"}) {
        want(make_id(Kind::account, user), {});
        there(make_id(Kind::account, user), {});
    }
    Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_EQ(made.blocked[0].resource, account);

    world_.hidden_until.clear();
    there(container, {session});
    world_.unreadable[alices] = {"read", "container/v", "input/output error"};
    EXPECT_TRUE(plan().steps.empty());
    world_.unreadable.clear();
    there(alices, {container});
    EXPECT_EQ(steps(plan()), (Lines{"remove account/carol"})) << "they were looked for, and there is none";
}

TEST_F(PutAway, WhereItCannotBeSeenTheStepIsBlocked) {
    put_away(session, {});
    world_.unreadable[session] = {"look at", "session/v", "permission denied"};
    want(container, {session}, 2);
    there(container, {session});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    EXPECT_EQ(made.blocked.size(), 1U);
}

TEST_F(PutAway, StandingStillIsDoneBeforeItGoes) {
    // Closing with a change to do on what is still attached: first the change, then away with it.
    put_away(session, {});
    there(session, {});
    want(container, {session}, 2);
    there(container, {session});
    EXPECT_EQ(steps(plan()), (Lines{"change container/v", "remove session/v"}));
}

TEST_F(PutAway, WhoIsWantedWithoutItDoesNotHoldItUp) {
    put_away(session, {});
    there(session, {});
    want(container, {session});
    world_.unreadable[container] = {"read", "container/v", "input/output error"};
    EXPECT_EQ(steps(plan()), (Lines{"remove session/v"}));
}

TEST_F(PutAway, ClosingGoesOnPastWhatCannotBeSeen) {
    put_away(mapping, {session});
    put_away(session, {});
    there(session, {});
    world_.unreadable[mapping] = {"look at", "mapping/v", "permission denied"};
    EXPECT_EQ(steps(plan()), (Lines{"remove session/v"}));
    mode_ = model::Mode::open;
    EXPECT_TRUE(plan().steps.empty()) << "only closing is worth trying blindly";
}

TEST_F(PutAway, ClosingGoesOnPastWhatFails) {
    put_away(mapping, {session});
    there(mapping, {session});
    put_away(session, {});
    there(session, {});
    world_.failing.insert(mapping);
    const model::Report report = apply();
    EXPECT_EQ(world_.log, (Lines{"remove mapping/v", "remove session/v"}));
    EXPECT_EQ(report.remaining.steps.size(), 1U) << "and what is left is told";
}

}  // namespace
}  // namespace safe::planning
