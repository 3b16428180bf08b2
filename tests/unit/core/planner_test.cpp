// The rules of planning, each against a world in memory. Golden stories (tests/golden) show them with the real drivers.
#include "reconciler/planning/planner.hpp"

#include <gtest/gtest.h>

#include "reconciler/applying/driver_set.hpp"
#include "reconciler/planning/guards.hpp"
#include "reconciler/view/view.hpp"
#include "tests/support/memory_driver.hpp"

namespace safe::planning {
namespace {

using model::Attributes;
using model::Disruption;
using model::Kind;
using model::make_id;
using model::Plan;
using model::Presence;
using model::Resource;
using model::ResourceId;

const ResourceId network = make_id(Kind::network, "n");
const ResourceId vm = make_id(Kind::vm, "a");
const ResourceId power = make_id(Kind::power, "a");
const ResourceId ruleset = make_id(Kind::ruleset, "open");

class Planner : public ::testing::Test {
 protected:
    void want(const ResourceId& id, std::vector<ResourceId> needs, int version = 1) {
        desired_.push_back({id, Presence::present, Attributes().set("version", version), std::move(needs)});
    }
    void want_absent(const ResourceId& id, std::vector<ResourceId> needs) {
        desired_.push_back({id, Presence::absent, {}, std::move(needs)});
    }
    void there(const ResourceId& id, std::vector<ResourceId> needs, int version = 1) {
        world_.things[id] = {.attributes = Attributes().set("version", version), .needs = std::move(needs)};
    }

    Plan plan() {
        std::vector<std::unique_ptr<driver::Driver>> drivers;
        drivers.push_back(std::make_unique<testing::MemoryDriver>(
            world_,
            std::vector{Kind::network, Kind::vm, Kind::power, Kind::ruleset, Kind::account, Kind::disk, Kind::image},
            desired_));
        set_ = std::make_unique<applying::DriverSet>(std::move(drivers));
        specs::SafeSpec spec;
        spec.safe.value = "atlas";
        planning::Question question = set_->look(spec, model::Mode::open, {});
        if (blind_) question.blind.emplace(*blind_, base::Error{"list", "things", "the line is dead"});
        return make_plan(question, *set_);
    }

    static std::vector<std::string> steps(const Plan& plan) {
        std::vector<std::string> lines;
        for (const model::Step& step : plan.steps)
            lines.push_back(std::string(to_text(step.action)) + " " + to_text(step.resource));
        return lines;
    }

    testing::MemoryWorld world_;
    std::vector<Resource> desired_;
    std::optional<Kind> blind_;
    std::unique_ptr<applying::DriverSet> set_;
};

using Lines = std::vector<std::string>;

TEST_F(Planner, NothingToDoIsAnEmptyPlan) {
    want(network, {});
    there(network, {});
    EXPECT_TRUE(plan().steps.empty());
}

TEST_F(Planner, AChangeAndTheRemovalOfWhatStandsOnItAreNotSideBySide) {
    want(vm, {}, 2);
    there(vm, {});
    want_absent(power, {vm});
    there(power, {vm});
    const Plan made = plan();
    ASSERT_EQ(steps(made), (Lines{"remove power/a", "change vm/a"}));
    EXPECT_EQ(made.steps[1].requires_done, (std::vector<model::StepIndex>{0}));
}

TEST_F(Planner, AGuestDoesNotWaitForTheImageThatItsDiskWasMadeFrom) {
    const ResourceId disk = make_id(Kind::disk, "a");
    const ResourceId image = make_id(Kind::image, "i");
    want(image, {}, 2);
    there(image, {});
    want(disk, {image});
    there(disk, {image});
    want(vm, {disk});
    there(vm, {disk});
    want(power, {vm});
    const Plan made = plan();
    ASSERT_EQ(made.steps.size(), 2U);
    for (const model::Step& step : made.steps) EXPECT_TRUE(step.requires_done.empty()) << to_text(step.resource);
}

TEST_F(Planner, CreatesWhatIsNeededFirst) {
    want(ruleset, {power});
    want(power, {vm});
    want(vm, {network});
    want(network, {});
    EXPECT_EQ(steps(plan()), (Lines{"add network/n", "add vm/a", "add power/a", "add ruleset/open"}));
}

TEST_F(Planner, RemovesInReverseByWhatWasNeededWhenItWasMade) {
    there(ruleset, {power});
    there(power, {vm});
    there(vm, {});
    want_absent(vm, {});
    want_absent(power, {});
    EXPECT_EQ(steps(plan()), (Lines{"remove ruleset/open", "remove power/a", "remove vm/a"}));
}

TEST_F(Planner, AStepBetweenPassesOrderOn) {
    // vm/a needs no step, yet power/a must still come after network/n.
    want(network, {});
    want(vm, {network});
    there(vm, {network});
    want(power, {vm});
    const Plan made = plan();
    ASSERT_EQ(steps(made), (Lines{"add network/n", "add power/a"}));
    EXPECT_EQ(made.steps[1].requires_done, (std::vector<model::StepIndex>{0}));
}

TEST_F(Planner, AChangeThatNeedsItsDependentsDownBracketsThem) {
    world_.dependents_down.insert(network);
    want(network, {}, 2);
    there(network, {}, 1);
    want(power, {network});
    there(power, {network});
    want(ruleset, {power});
    there(ruleset, {power});
    const Plan made = plan();
    EXPECT_EQ(steps(made),
              (Lines{"remove ruleset/open", "remove power/a", "change network/n", "add power/a", "add ruleset/open"}));
    EXPECT_EQ(made.disruption(), Disruption::downtime);
    EXPECT_EQ(made.steps[1].bracket, network);
}

TEST_F(Planner, ABracketIsNotBegunWhenItCouldNotBeEnded) {
    // The ruleset that power needs cannot be seen, so power could not be brought back.
    world_.dependents_down.insert(network);
    world_.unreadable[ruleset] = {"read", "ruleset/open", "permission denied"};
    want(network, {}, 2);
    there(network, {}, 1);
    want(ruleset, {});
    want(power, {network, ruleset});
    there(power, {network, ruleset});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_EQ(made.blocked[0].resource, network);
}

TEST_F(Planner, ABracketIsNotBegunOverAnOrphan) {
    world_.dependents_down.insert(network);
    want(network, {}, 2);
    there(network, {}, 1);
    there(power, {network});  // left the file, kept: nobody would know how to bring it back
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_NE(made.blocked[0].error.cause.find("power/a has left the file"), std::string::npos);
}

TEST_F(Planner, ABracketIsNotBegunUnderWhatIsOnlyPutToSleep) {
    world_.dependents_down.insert(network);
    world_.sleepers.insert(power);
    want(network, {}, 2);
    there(network, {}, 1);
    want_absent(power, {network});
    there(power, {network});
    const Plan made = plan();
    EXPECT_EQ(steps(made), (Lines{"remove power/a"})) << "closing goes on; the change waits";
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_EQ(made.blocked[0].resource, network);
}

TEST_F(Planner, UnknownIsNeverAbsent) {
    world_.unreadable[vm] = {"look up", "vm/a", "connection reset"};
    want(vm, {});
    want(power, {vm});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.unknown.size(), 1U);
    EXPECT_EQ(made.unknown[0].resource, vm);
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_EQ(made.blocked[0].resource, power);
}

TEST_F(Planner, WhatAnUnknownMayStillNeedIsNotRemoved) {
    world_.unreadable[power] = {"look up", "power/a", "connection reset"};
    want_absent(power, {vm});
    want_absent(vm, {});
    there(vm, {});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_EQ(made.blocked[0].resource, vm);
}

TEST_F(Planner, WhatDoesNotRestOnTheUnknownGoesOn) {
    world_.unreadable[vm] = {"look up", "vm/a", "connection reset"};
    want(vm, {});
    want(network, {});
    EXPECT_EQ(steps(plan()), (Lines{"add network/n"}));
}

TEST_F(Planner, NothingOfABlindKindIsRemoved) {
    blind_ = Kind::ruleset;
    there(ruleset, {});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    EXPECT_EQ(made.blind.size(), 1U);
    EXPECT_EQ(made.blocked.size(), 1U);
}

TEST_F(Planner, NorIsWhatOneOfABlindKindMayRestOn) {
    const ResourceId account = make_id(Kind::account, "carol");
    there(account, {});
    EXPECT_EQ(steps(plan()), (Lines{"remove account/carol"}));
    blind_ = Kind::keyslot;
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    EXPECT_EQ(made.blocked.size(), 1U);
}

TEST_F(Planner, ForeignUnderOurNameRefusesThePlan) {
    world_.foreign.insert(network);
    want(network, {});
    want(vm, {});
    const Plan made = plan();
    ASSERT_EQ(made.refusals.size(), 1U);
    EXPECT_EQ(made.refusals[0].subject, "network/n");
    EXPECT_EQ(made.runnable(), 0U) << "a refused plan runs nothing, not even what would be possible";
}

TEST_F(Planner, ForeignThatIsNotWantedIsLeftAlone) {
    world_.foreign.insert(network);
    want_absent(network, {});
    const Plan made = plan();
    EXPECT_TRUE(made.refusals.empty());
    EXPECT_TRUE(made.steps.empty());
}

TEST_F(Planner, OrphansAreKeptOrRemovedAsTheirDriverSays) {
    there(vm, {});
    there(ruleset, {});
    const Plan made = plan();
    EXPECT_EQ(steps(made), (Lines{"remove ruleset/open"}));
    EXPECT_EQ(made.orphaned, (std::vector<ResourceId>{vm}));
}

TEST_F(Planner, ARemovalWaitsForWhoeverStopsNeedingIt) {
    want(power, {}, 2);  // needed vm/a when it was made, needs it no longer
    there(power, {vm}, 1);
    there(vm, {});
    want_absent(vm, {});
    EXPECT_EQ(steps(plan()), (Lines{"change power/a", "remove vm/a"}));
}

TEST_F(Planner, NothingGoesThatAKeptThingStillNeeds) {
    there(power, {vm});  // an orphan, kept
    there(vm, {});
    want_absent(vm, {});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.blocked.size(), 1U);
    EXPECT_EQ(made.blocked[0].resource, vm);
}

TEST_F(Planner, DeferredSaysOnWhat) {
    const ResourceId account = make_id(Kind::account, "bob");
    world_.hidden_until[account] = power;
    want(account, {power});
    want(power, {});
    const Plan made = plan();
    EXPECT_EQ(steps(made), (Lines{"add power/a"}));
    ASSERT_EQ(made.deferred.size(), 1U);
    EXPECT_EQ(made.deferred[0].on, power);
}

TEST_F(Planner, ACircleIsSaidAndNothingIsDone) {
    want(vm, {power});
    want(power, {vm});
    const Plan made = plan();
    EXPECT_TRUE(made.steps.empty());
    ASSERT_EQ(made.refusals.size(), 1U);
}

TEST_F(Planner, WaitsForAPersonHoldWhatComesAfter) {
    world_.waits_for[vm] = "a key";
    want(vm, {});
    want(power, {vm});
    want(network, {});
    EXPECT_EQ(plan().runnable(), 1U);
}

TEST_F(Planner, TheSameQuestionGivesTheSameBytes) {
    want(network, {});
    want(vm, {network});
    want(power, {vm});
    EXPECT_EQ(view::plan_json(plan()), view::plan_json(plan()));
}

TEST_F(Planner, OfThousandsEachIsDigestedAndOnlyTheDifferenceIsAStep) {
    for (int i = 0; i < 2000; ++i) {
        want(make_id(Kind::account, std::to_string(i)), {});
        there(make_id(Kind::account, std::to_string(i)), {}, i == 1234 ? 2 : 1);
    }
    const Plan made = plan();
    EXPECT_EQ(steps(made), Lines{"change account/1234"});
    ASSERT_EQ(made.observed.size(), 2000U);
    const model::Observation seen = model::Present{.attributes = Attributes().set("version", 1), .needs = {}};
    for (const auto& [id, digest] : made.observed) EXPECT_EQ(digest == model::digest(seen), id.name() != "1234");
}

TEST_F(Planner, IrreversibleIsRefused) {
    world_.destroys[vm] = "everything on its disk";
    want(vm, {}, 2);
    there(vm, {}, 1);
    Plan made = plan();
    guard(made, {});
    ASSERT_EQ(made.refusals.size(), 1U);
    EXPECT_NE(made.refusals[0].error.cause.find("everything on its disk"), std::string::npos);
}

TEST_F(Planner, MaxDisruptionRefusesTheWholePlan) {
    want(vm, {}, 2);
    there(vm, {}, 1);
    want(network, {});
    Plan made = plan();
    guard(made, {.max_disruption = Disruption::none});
    EXPECT_EQ(made.refusals.size(), 1U);
    EXPECT_EQ(made.runnable(), 0U);
    Plan allowed = plan();
    guard(allowed, {.max_disruption = Disruption::live});
    EXPECT_EQ(allowed.runnable(), 2U);
}

}  // namespace
}  // namespace safe::planning
