// A revocation that is killed: whoever has a keyslot can open with it, nothing of a key stays that no keyslot names,
// and what was kept before is not written over.
#include "tests/fault/luks/vault_of_three.hpp"

namespace safe::test {
namespace {

TEST_F(VaultOfThree, RevokingKilledAnywhereLeavesNoKeyslotThatDoesNotOpenAndNoKeyWithoutAKeyslot) {
    const auto revoke_bob = [this] { return vault()->remove("bob", 1).has_value(); };
    const luks::Area bobs = area_of("bob");
    const std::string key = world.content("vault", bobs.to).substr(bobs.from);
    at_every_point(revoke_bob, [&] {
        const auto before = backups();
        ASSERT_EQ(has_keyslot("bob"), opens("bob")) << "the rule on the last super-user counts on it";
        ASSERT_TRUE(opens("alice") && opens("carol"));
        const auto finished = vault()->finish();
        ASSERT_TRUE(finished) << to_text(finished.error());
        ASSERT_EQ(has_keyslot("bob"), opens("bob"));
        ASSERT_TRUE(has_keyslot("bob") || nothing_left_over());
        ASSERT_FALSE(world.header().store().pending().value());
        ASSERT_TRUE(revoke_bob());
        ASSERT_FALSE(has_keyslot("bob"));
        ASSERT_TRUE(nothing_left_over());
        ASSERT_NE(world.content("vault", bobs.to).substr(bobs.from), key);
        ASSERT_TRUE(opens("alice") && opens("carol"));
        const auto after = backups();
        for (const auto& [name, bytes] : before) ASSERT_TRUE(after.at(name) == bytes) << name;
    });
}

TEST_F(VaultOfThree, ARevocationCutShortIsFinishedByTheNextApplyToo) {
    const auto revoke_bob = [this] { return vault()->remove("bob", 1).has_value(); };
    bool planned = false;
    at_every_point(revoke_bob, [&] {
        if (has_keyslot("bob") || !world.header().store().pending().value()) return;
        const auto present = std::get<model::Present>(world.observe(VaultWorld::vault_id));
        ASSERT_EQ(present.attributes == world.desired(VaultWorld::vault_id).attributes, false) << "the plan has a step";
        ASSERT_TRUE(world.apply(VaultWorld::vault_id, model::Action::change));
        ASSERT_TRUE(nothing_left_over());
        ASSERT_FALSE(world.header().store().pending().value());
        planned = true;
    });
    EXPECT_TRUE(planned || std::getenv("SAFE_FAULT_SHARE") != nullptr);
}

TEST_F(VaultOfThree, ABackupIsNeverOverwrittenByAnotherOfItsSequence) {
    const luks::HeaderStore kept = world.header().store();
    ASSERT_TRUE(kept.back_up("first", 1000));
    ASSERT_TRUE(kept.back_up("second", 1000));
    ASSERT_TRUE(kept.back_up("first", 1000)) << "none twice";
    ASSERT_EQ(backups().at("backup-1000.img"), "first");
    ASSERT_EQ(backups().at("backup-1000-2.img"), "second");
    EXPECT_FALSE(backups().contains("backup-1000-3.img"));
    EXPECT_EQ(kept.backups().back().second.filename(), "backup-1000.img") << "the first is what we wrote";
}

}  // namespace
}  // namespace safe::test
