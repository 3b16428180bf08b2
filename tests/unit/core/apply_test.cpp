// Executor and rounds over a world in memory: order, failures, checks before and after, deferral, interruption.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/applying/rounds.hpp"
#include "tests/support/file_limit.hpp"
#include "tests/support/memory_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::applying {
namespace {

using model::Attributes;
using model::Kind;
using model::make_id;
using model::Outcome;
using model::Presence;
using model::Report;
using model::Resource;
using model::ResourceId;

const ResourceId network = make_id(Kind::network, "n");
const ResourceId vm = make_id(Kind::vm, "a");
const ResourceId power = make_id(Kind::power, "a");
const ResourceId other = make_id(Kind::vm, "b");
const ResourceId account = make_id(Kind::account, "bob");

class Applying : public ::testing::Test {
 protected:
    Applying() { spec_.safe.value = "atlas"; }

    void want(const ResourceId& id, std::vector<ResourceId> needs, int version = 1) {
        desired_.push_back({id, Presence::present, Attributes().set("version", version), std::move(needs)});
    }

    Report apply() {
        std::vector<std::unique_ptr<driver::Driver>> drivers;
        drivers.push_back(std::make_unique<testing::MemoryDriver>(
            world_, std::vector{Kind::network, Kind::vm, Kind::power, Kind::ruleset, Kind::account}, desired_));
        DriverSet set(std::move(drivers));
        const Goal goal{.spec = spec_, .mode = mode_, .exactly = exactly_, .refusals = refusals_, .still = still_};
        Planned first = look_and_plan(goal, set, {});
        if (between_) between_();
        auto journal = Journal::open(directory_.path() / "journal.jsonl");
        EXPECT_TRUE(journal.has_value());
        const Execution execution{
            .drivers = set, .journal = *journal, .listener = listener_, .stop = stop_.get_token()};
        return applying::apply(goal, std::move(first), execution,
                               {.deferred = patience_, .between = std::chrono::milliseconds(2)});
    }

    static std::map<std::string, Outcome::What> outcomes(const Report& report) {
        std::map<std::string, Outcome::What> by_name;
        for (const Outcome& outcome : report.outcomes) by_name[to_text(outcome.resource)] = outcome.what;
        return by_name;
    }

    struct Waits final : Listener {
        void waiting(const model::Held& /*held*/) override { ++count; }
        int count = 0;
    };

    testing::TemporaryDirectory directory_;
    Waits listener_;
    testing::MemoryWorld world_;
    std::vector<Resource> desired_;
    specs::SafeSpec spec_;
    std::stop_source stop_;
    std::function<void()> between_;
    bool exactly_ = false;
    model::Mode mode_ = model::Mode::open;
    std::vector<model::Refusal> refusals_;
    std::function<base::Result<void>()> still_ = [] { return base::Result<void>{}; };
    std::chrono::milliseconds patience_ = std::chrono::minutes(1);  // no verdict hangs on it
};

TEST_F(Applying, GetsThereAndASecondTimeDoesNothing) {
    want(network, {});
    want(vm, {network});
    want(power, {vm});
    EXPECT_EQ(apply().outcomes.size(), 3U);
    EXPECT_EQ(world_.log, (std::vector<std::string>{"add network/n", "add vm/a", "add power/a"}));
    const Report again = apply();
    EXPECT_TRUE(again.outcomes.empty());
    EXPECT_TRUE(again.remaining.steps.empty());
}

TEST_F(Applying, AFailedStepStopsThoseThatDependOnItAndNoOthers) {
    want(vm, {});
    want(power, {vm});
    want(other, {});
    world_.failing.insert(vm);
    const Report report = apply();
    const auto by_name = outcomes(report);
    EXPECT_EQ(by_name.at("vm/a"), Outcome::What::failed);
    EXPECT_EQ(by_name.at("power/a"), Outcome::What::skipped);
    EXPECT_EQ(by_name.at("vm/b"), Outcome::What::done);
    EXPECT_EQ(report.remaining.steps.size(), 2U);
    EXPECT_EQ(std::ranges::count(world_.log, "add vm/a"), 1) << "a step that failed is tried once a run";
}

TEST_F(Applying, AStepThatDidNotDoWhatItSaidIsFound) {
    want(vm, {});
    world_.lying.insert(vm);
    const Report report = apply();
    ASSERT_EQ(report.outcomes.size(), 1U);
    EXPECT_EQ(report.outcomes[0].what, Outcome::What::failed);
    EXPECT_EQ(report.outcomes[0].error->attempt, "verify");
}

TEST_F(Applying, WhatMovedSinceThePlanIsPlannedAgainNotRunOver) {
    want(vm, {}, 2);
    world_.things[vm] = {.attributes = Attributes().set("version", 1)};
    between_ = [this] { world_.things[vm].attributes.set("version", 7); };
    const Report report = apply();
    ASSERT_EQ(report.outcomes.size(), 2U);
    EXPECT_EQ(report.outcomes[0].what, Outcome::What::failed) << "the plan spoke of another world";
    EXPECT_EQ(report.outcomes[1].what, Outcome::What::done) << "the next round saw this one";
    EXPECT_EQ(report.rounds, 2);
}

TEST_F(Applying, WhatMovedSinceAnAgreedPlanIsLeft) {
    exactly_ = true;
    want(vm, {}, 2);
    world_.things[vm] = {.attributes = Attributes().set("version", 1)};
    between_ = [this] { world_.things[vm].attributes.set("version", 7); };
    const Report report = apply();
    EXPECT_TRUE(world_.log.empty());
    EXPECT_EQ(report.remaining.steps.size(), 1U);
}

TEST_F(Applying, OfAnAgreedPlanNothingFollowsThatWasNotInIt) {
    exactly_ = true;
    want(power, {});
    want(account, {power});
    world_.hidden_until[account] = power;
    const Report report = apply();
    EXPECT_EQ(world_.log, std::vector<std::string>{"add power/a"});
    EXPECT_EQ(report.remaining.steps.size(), 1U) << "the account is told as left";
}

TEST_F(Applying, LaterRoundsCostNoMoreThanWasAgreedTo) {
    want(power, {});
    want(vm, {power}, 2);
    world_.hidden_until[vm] = power;
    world_.dependents_down.insert(vm);  // its change will turn out to be a downtime, which the first plan did not say
    world_.on_apply = [this](const model::Step&) {
        world_.things[vm] = {.attributes = Attributes().set("version", 1)};
    };
    const Report report = apply();
    EXPECT_EQ(world_.log, (std::vector<std::string>{"add power/a"}));
    EXPECT_EQ(report.remaining.refusals.size(), 1U);
}

TEST_F(Applying, ADeferredResourceIsReachedInASecondRound) {
    want(power, {});
    want(account, {power});
    world_.hidden_until[account] = power;
    const Report report = apply();
    EXPECT_EQ(report.rounds, 2);
    EXPECT_TRUE(report.remaining.steps.empty());
    EXPECT_TRUE(world_.things.contains(account));
}

TEST_F(Applying, WhatIsUpButDoesNotAnswerYetIsWaitedFor) {
    want(power, {});
    want(account, {power});
    world_.hidden_until[account] = power;
    world_.silent_for[account] = 5;
    const Report report = apply();
    EXPECT_TRUE(report.remaining.deferred.empty());
    EXPECT_TRUE(world_.things.contains(account));
}

TEST_F(Applying, WhatIsUpAndNeverAnswersEndsTheWait) {
    patience_ = std::chrono::milliseconds(20);
    want(power, {});
    want(account, {power});
    world_.hidden_until[account] = power;
    world_.silent_for[account] = 1'000'000;
    const Report report = apply();
    EXPECT_EQ(report.rounds, 1);
    EXPECT_EQ(report.remaining.deferred.size(), 1U);
}

TEST_F(Applying, WhatIsDeferredOnSomethingThatNeverComesEnds) {
    want(account, {});
    world_.hidden_until[account] = power;  // which nobody declares
    const Report report = apply();
    EXPECT_EQ(report.rounds, 0);
    EXPECT_EQ(report.remaining.deferred.size(), 1U);
}

TEST_F(Applying, InterruptedItFinishesTheCallUnderWayAndNoMore) {
    want(network, {});
    want(vm, {network});
    world_.on_apply = [this](const model::Step&) { stop_.request_stop(); };
    const Report report = apply();
    EXPECT_TRUE(report.interrupted);
    EXPECT_EQ(world_.log, (std::vector<std::string>{"add network/n"}));
    EXPECT_EQ(report.remaining.steps.size(), 1U);
}

TEST_F(Applying, BracketedResourcesComeBack) {
    world_.dependents_down.insert(network);
    want(network, {}, 2);
    want(power, {network});
    world_.things[network] = {.attributes = Attributes().set("version", 1)};
    world_.things[power] = {.attributes = Attributes().set("version", 1), .needs = {network}};
    const Report report = apply();
    EXPECT_TRUE(report.remaining.steps.empty());
    EXPECT_EQ(world_.log, (std::vector<std::string>{"remove power/a", "change network/n", "add power/a"}));
}

TEST_F(Applying, OfARefusedPlanOnlyWhatClosesIsDone) {
    refusals_.push_back({"disk/a", {"take over", "disk/a", "it is another's"}});
    want(vm, {});
    desired_.push_back({.id = power, .needs = {vm}});
    world_.things[power] = {};
    mode_ = model::Mode::closed;
    const Report report = apply();
    EXPECT_EQ(world_.log, std::vector<std::string>{"remove power/a"});
    EXPECT_EQ(outcomes(report).at("vm/a"), Outcome::What::skipped);
    EXPECT_FALSE(report.remaining.refusals.empty());

    mode_ = model::Mode::open;
    world_.log.clear();
    world_.things[power] = {};
    EXPECT_EQ(apply().rounds, 0);
    EXPECT_TRUE(world_.log.empty());
}

TEST_F(Applying, WhileSomethingIsLeftToCloseNothingThatIsDeferredIsWaitedFor) {
    mode_ = model::Mode::closed;
    patience_ = std::chrono::milliseconds(20);
    want(network, {});
    want(account, {network});
    world_.things[network] = {.attributes = Attributes().set("version", 1)};
    world_.hidden_until[account] = network;
    world_.silent_for[account] = 1'000'000;
    desired_.push_back({.id = power});
    world_.things[power] = {};
    world_.failing.insert(power);
    EXPECT_FALSE(apply().remaining.deferred.empty());
    EXPECT_EQ(listener_.count, 0);
    world_.failing.clear();
    EXPECT_FALSE(apply().remaining.deferred.empty());
    EXPECT_GT(listener_.count, 0) << "all that closes is closed";
}

TEST_F(Applying, WhatPeopleWantMeanwhileEndsIt) {
    want(power, {});
    want(account, {power});
    world_.hidden_until[account] = power;
    still_ = [] { return base::fail({"apply to", "safe atlas", "it is to be locked now"}); };
    const Report report = apply();
    EXPECT_EQ(world_.log, std::vector<std::string>{"add power/a"}) << "no second round";
    ASSERT_EQ(report.remaining.refusals.size(), 1U);
    EXPECT_EQ(report.remaining.refusals[0].error.cause, "it is to be locked now");
}

TEST_F(Applying, WhatWaitsForAPersonIsLeft) {
    want(vm, {});
    want(other, {});
    world_.waits_for[vm] = "a key";
    const Report report = apply();
    EXPECT_TRUE(world_.things.contains(other));
    EXPECT_FALSE(world_.things.contains(vm));
    ASSERT_EQ(report.remaining.steps.size(), 1U);
    EXPECT_EQ(report.remaining.runnable(), 0U);
}

TEST_F(Applying, TheJournalTellsTheStoryAndClosesABrokenLastLine) {
    want(vm, {});
    const auto path = directory_.path() / "journal.jsonl";
    std::ofstream(path) << R"({"event":"st)";  // a power cut
    static_cast<void>(apply());
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_NE(lines[1].find(R"("event":"step","resource":"vm/a","action":"add")"), std::string::npos);
    EXPECT_NE(lines[2].find(R"("outcome":"done")"), std::string::npos);
}

TEST_F(Applying, AJournalThatTookHalfALineGoesOnInALineOfItsOwn) {
    const auto path = directory_.path() / "journal.jsonl";
    auto journal = Journal::open(path);
    ASSERT_TRUE(journal.has_value());
    ASSERT_TRUE(journal->started({}).has_value());
    {
        const testing::FileLimit nearly_full(std::filesystem::file_size(path) + 10);
        EXPECT_FALSE(journal->started({}).has_value());
        auto second = Journal::open(path);
        ASSERT_TRUE(second.has_value()) << "it may be wanted for closing";
        EXPECT_FALSE(second->started({}).has_value());
    }
    EXPECT_TRUE(journal->started({}).has_value());
    EXPECT_TRUE(Journal::open(path)->started({}).has_value());
    std::ifstream file(path);
    std::vector<bool> whole;
    for (std::string line; std::getline(file, line);) whole.push_back(line.ends_with('}'));
    EXPECT_EQ(whole, (std::vector{true, false, true, true}));
}

TEST_F(Applying, IndependentStepsRunSideBySide) {
    // Each of two steps waits until the other has begun: side by side they meet, one after the other they would not.
    std::atomic<int> begun = 0;
    std::atomic<int> met = 0;
    want(vm, {});
    want(other, {});
    world_.on_apply = [&](const model::Step&) {
        ++begun;
        for (int i = 0; i < 2000 && begun < 2; ++i) ::usleep(1000);
        if (begun == 2) ++met;
    };
    static_cast<void>(apply());
    EXPECT_EQ(met, 2);
}

TEST(LockFile, IsTakenOnceAndGivenBack) {
    const testing::TemporaryDirectory directory;
    const auto path = directory.path() / "lock";
    {
        const auto held = LockFile::take(path);
        ASSERT_TRUE(held.has_value());
        const auto second = LockFile::take(path);
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error().kind, base::Error::Kind::refused);
        EXPECT_NE(second.error().cause.find(std::to_string(::getpid())), std::string::npos);
    }
    EXPECT_TRUE(LockFile::take(path).has_value());
}

}  // namespace
}  // namespace safe::applying
