// The guard that takes no safe away from its people.
#include <gtest/gtest.h>

#include <algorithm>

#include "reconciler/planning/guards.hpp"

namespace safe::planning {
namespace {

using model::Action;
using model::Kind;
using model::Plan;
using model::ResourceId;

class GuardUsers : public ::testing::Test {
 protected:
    static ResourceId account(const std::string& user) { return make_id(Kind::account, user); }
    static ResourceId keyslot(const std::string& user) { return make_id(Kind::keyslot, "vault", user); }

    void there(const ResourceId& id) { plan.observed[id] = digest(model::Observation(model::Present{})); }
    void not_there(const ResourceId& id) { plan.observed[id] = digest(model::Observation(model::Absent{})); }
    void unknown(const ResourceId& id) {
        plan.observed[id] = digest(model::Observation(model::Unknown{}));
        plan.unknown.push_back({id, {}});
    }
    void removed(const ResourceId& id) {
        there(id);
        model::Step step;
        step.resource = id;
        step.action = Action::remove;
        plan.steps.push_back(step);
    }
    std::size_t refusals(const Limits& limits = {}) const {
        Plan judged = plan;
        guard(judged, limits);
        return judged.refusals.size();
    }
    static constexpr Limits allowed{.max_disruption = std::nullopt, .allow_mass_removal = true};

    Plan plan;
};

TEST_F(GuardUsers, AThirdMayGoAndNoMore) {
    for (const char* user : {"a", "b", "c", "d"}) there(account(user));
    removed(account("x"));
    removed(account("y"));
    EXPECT_EQ(refusals(), 0U) << "2 of 6";
    removed(account("z"));
    EXPECT_EQ(refusals(), 1U) << "3 of 7";
    EXPECT_EQ(refusals(allowed), 0U);
}

TEST_F(GuardUsers, AccountAndKeyslotOfOneUserAreOneUser) {
    for (const char* user : {"a", "b"}) {
        there(account(user));
        there(keyslot(user));
    }
    removed(account("x"));
    removed(keyslot("x"));
    EXPECT_EQ(refusals(), 0U) << "1 of 3";
}

TEST_F(GuardUsers, KeyslotsCountWhileTheDirectoryIsOff) {
    for (const char* user : {"a", "b", "c"}) {
        unknown(account(user));
        there(keyslot(user));
    }
    removed(keyslot("x"));
    EXPECT_EQ(refusals(), 0U);
    removed(keyslot("y"));
    EXPECT_EQ(refusals(), 1U);
}

TEST_F(GuardUsers, WhoCouldNotBeLookedAtDoesNotMakeOthersFewer) {
    for (int i = 0; i < 20; ++i) unknown(account("u" + std::to_string(i)));
    for (int i = 0; i < 20; ++i) not_there(account("n" + std::to_string(i)));
    there(account("a"));
    removed(account("x"));
    EXPECT_EQ(refusals(), 1U) << "1 of 2 that are known";
}

TEST_F(GuardUsers, TheLastKeyslotNeverGoes) {
    for (const char* user : {"a", "b", "c", "d"}) there(account(user));
    not_there(keyslot("a"));
    unknown(keyslot("b"));
    removed(keyslot("x"));
    EXPECT_EQ(refusals(), 1U);
    EXPECT_EQ(refusals(allowed), 1U) << "nothing allows it";
    there(keyslot("c"));
    EXPECT_EQ(refusals(), 0U);
}

TEST_F(GuardUsers, AKeyslotThatComesBackIsNotTakenAway) {
    removed(keyslot("x"));
    plan.steps.back().bracket = ResourceId{Kind::container, "vault"};
    EXPECT_EQ(refusals(), 0U);
}

}  // namespace
}  // namespace safe::planning
