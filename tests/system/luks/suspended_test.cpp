// A mapping that somebody has suspended (`dmsetup suspend`, `cryptsetup luksSuspend`), or that a helper was killed
// over: whoever waits for it is let go, with what is unsaved where there is still a key for that.
#include <gmock/gmock.h>

#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

using model::Action;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Suspended : public ::testing::Test {
 protected:
    void SetUp() override {
        world.format_vault();
        ASSERT_TRUE(world.apply(mapping, Action::add));
        device().suspended = true;
        device().holders = {"a mount"};
    }

    luks::Mapping& device() { return world.mapper->open.at("safe-atlas-vault"); }
    model::Assessment assessed() {
        const std::vector changes{model::Change{.path = {"state"}, .what = model::Change::What::change}};
        return world.driver_of(mapping.kind)
            .classify(Action::change, world.desired(mapping), world.observe(mapping), changes);
    }
    std::string why_not(Action action) {
        const auto done = world.apply(mapping, action);
        EXPECT_FALSE(done);
        return done ? "" : to_text(done.error());
    }

    VaultWorld world;
    const model::ResourceId mapping = VaultWorld::mapping_id;
};

TEST_F(Suspended, WhileOpenItIsResumedAndNothingIsTakenDownForThat) {
    EXPECT_EQ(assessed().verb, "resume");
    EXPECT_FALSE(assessed().dependents_down) << "an unmount would wait for it for ever";
    world.keys.clear();
    EXPECT_EQ(assessed().waits_for, std::nullopt);
    const auto resumed = world.apply(mapping, Action::change);
    ASSERT_TRUE(resumed) << to_text(resumed.error());
    EXPECT_FALSE(device().suspended);
    EXPECT_EQ(std::get<model::Present>(world.observe(mapping)).attributes, world.desired(mapping).attributes);
}

TEST_F(Suspended, WithoutItsKeyNothingThatIsUnsavedIsGivenUpWhileOpen) {
    world.mapper->wiped = {"safe-atlas-vault"};
    EXPECT_THAT(why_not(Action::change), AllOf(HasSubstr("its key was wiped"), HasSubstr("safectl close")));
    EXPECT_TRUE(device().suspended);
    EXPECT_EQ(device().target, "crypt");
}

TEST_F(Suspended, ClosingLetsWhatIsUnsavedBeWrittenFirst) {
    EXPECT_THAT(why_not(Action::remove), HasSubstr("a mount still holds it"));
    EXPECT_FALSE(device().suspended) << "now it can be unmounted";
    EXPECT_EQ(device().target, "crypt");
}

TEST_F(Suspended, ClosingWithoutItsKeyNeedsForceAndSaysSo) {
    world.mapper->wiped = {"safe-atlas-vault"};
    EXPECT_THAT(why_not(Action::remove), HasSubstr("what is unsaved can be written no more"));
    EXPECT_TRUE(device().suspended);
    device().holders.clear();
    EXPECT_TRUE(world.apply(mapping, Action::remove)) << "nobody holds it";
}

}  // namespace
}  // namespace safe::test
