// Keyslots of members in a real header: enrolled with a sponsor's key, rotated, revoked; and every guard.
#include <gtest/gtest.h>

#include <functional>

#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/keyslot_areas.hpp"
#include "plugins/luks/vault_keys.hpp"
#include "tests/support/luks/vouch.hpp"

namespace safe::test {
namespace {

using members::Keyslot;
using model::Action;

class Members : public ::testing::Test {
 protected:
    void SetUp() override {
        world.format_vault();
        keys = luks::make_vault_keys(world.setting(), world.api);
    }

    base::Secret key_of(const std::string& user, std::string_view password) {
        const auto derivation = keys->read().value().derivation;
        const auto seed = base::derive_seed(secret_of(password), derivation.salt, user, derivation.cost);
        return base::derive_subkey(*seed, base::luks_label).value();
    }
    /// bob, sponsored by alice.
    base::Result<Keyslot> enrol_bob(members::Generation generation = 1, std::string_view password = bobs_password) {
        const base::Secret alices = key_of("alice", alices_password);
        const base::Secret bobs = key_of("bob", password);
        return keys->add("bob", generation, bobs, {{"alice", 1, 0}, alices});
    }
    static model::ResourceId id_of(const std::string& user) { return make_id(model::Kind::keyslot, "vault", user); }
    bool opens(const std::string& user, std::string_view password) {
        world.give_key(user, password);
        const bool opened = world.apply(VaultWorld::mapping_id, Action::add).has_value();
        world.mapper->open.clear();
        return opened;
    }

    VaultWorld world;
    std::unique_ptr<members::VaultKeys> keys;
};

TEST_F(Members, ASponsorEnrolsAndBothOpen) {
    const auto before = keys->read();
    ASSERT_TRUE(before) << to_text(before.error());
    EXPECT_EQ(before->keyslots, (std::vector<Keyslot>{{"alice", 1, 0}}));
    const auto sequence = luks::vault_token(*world.header().look().header)->sequence;
    const auto added = enrol_bob();
    ASSERT_TRUE(added) << to_text(added.error());
    EXPECT_EQ(*added, (Keyslot{"bob", 1, 1}));
    const auto after = keys->read();
    EXPECT_EQ(after->room, before->room - 1);
    EXPECT_EQ(after->others, 0);
    EXPECT_EQ(luks::vault_token(*world.header().look().header)->sequence, sequence + 1);
    EXPECT_TRUE(std::holds_alternative<model::Present>(world.observe(id_of("bob"))));
    EXPECT_TRUE(opens("bob", bobs_password));
    EXPECT_TRUE(opens("alice", alices_password));
    EXPECT_FALSE(opens("bob", alices_password));
    EXPECT_FALSE(opens("alice", bobs_password));
    EXPECT_FALSE(world.header().store().backups().rbegin()->second.empty());
}

TEST_F(Members, ProvingTellsTheWrongPasswordFromEverythingElse) {
    EXPECT_EQ(keys->prove("alice", key_of("alice", alices_password)).value(), (Keyslot{"alice", 1, 0}));
    EXPECT_EQ(keys->prove("alice", key_of("alice", "wrong")).value(), std::nullopt);
    EXPECT_EQ(keys->prove("bob", key_of("bob", bobs_password)).value(), std::nullopt);
    world.scribble("vault", 4200, "damage");
    world.scribble("vault", 128 * luks::kibibyte + 4200, "damage");
    EXPECT_FALSE(keys->prove("alice", secret_of("x"))) << "an error, not \"wrong password\"";
}

TEST_F(Members, NobodyIsEnrolledWithoutAKeyThatWorks) {
    const std::string before = world.content("vault");
    const base::Secret wrong = key_of("alice", "wrong");
    const base::Secret bobs = key_of("bob", bobs_password);
    const auto added = keys->add("bob", 1, bobs, {{"alice", 1, 0}, wrong});
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().kind, base::Error::Kind::refused);
    const base::Secret alices = key_of("alice", alices_password);
    EXPECT_FALSE(keys->add("alice", 1, bobs, {{"alice", 1, 0}, alices})) << "that generation is there";
    EXPECT_FALSE(keys->add("bob", 1, bobs, {{"alice", 1, std::nullopt}, alices})) << "an unfinished sponsor";
    EXPECT_EQ(world.content("vault"), before);
    EXPECT_FALSE(world.apply(id_of("bob"), Action::add)) << "nor by apply";
    auto& driver = world.driver_of(model::Kind::keyslot);
    EXPECT_EQ(driver.classify(Action::add, world.desired(id_of("bob")), model::Absent{}, {}).waits_for, "a sponsor");
}

TEST_F(Members, WhileTwoGenerationsAreThereEitherOpens) {
    ASSERT_TRUE(enrol_bob(1, "old"));
    const base::Secret old = key_of("bob", "old");
    const base::Secret fresh = key_of("bob", "new");
    ASSERT_TRUE(keys->add("bob", 2, fresh, {{"bob", 1, 1}, old}));
    EXPECT_TRUE(opens("bob", "old"));
    EXPECT_TRUE(opens("bob", "new"));
    EXPECT_EQ(keys->prove("bob", fresh).value(), (Keyslot{"bob", 2, 2}));
    ASSERT_TRUE(keys->remove("bob", 1));
    EXPECT_FALSE(opens("bob", "old"));
    EXPECT_TRUE(opens("bob", "new"));
    const std::string before = world.content("vault");
    EXPECT_TRUE(keys->remove("bob", 1)) << "nothing to do";
    EXPECT_EQ(world.content("vault"), before);
}

TEST_F(Members, WhoLeavesTheFileLosesTheKeyAndTheAreaIsOverwritten) {
    ASSERT_TRUE(enrol_bob());
    const luks::Header before = world.header().look().header.value();
    const luks::Json& area = before.metadata.at("keyslots").at("1").at("area");
    const std::uint64_t offset = *luks::number_in(area, "offset");
    const std::string material = world.content("vault").substr(offset, 256000);
    world.spec.users.pop_back();
    world.renew();
    const auto snapshot = world.driver_of(model::Kind::keyslot).observe({.ids = {id_of("alice")}}, {});
    ASSERT_TRUE(snapshot.observations.contains(id_of("bob"))) << "found although nobody asked";
    const auto& seen = std::get<model::Present>(snapshot.observations.at(id_of("bob")));
    EXPECT_EQ(world.driver_of(model::Kind::keyslot).orphan(id_of("bob"), seen, model::Mode::closed),
              model::Presence::absent);
    const auto revoked = world.apply(id_of("bob"), Action::remove);
    ASSERT_TRUE(revoked) << to_text(revoked.error());
    EXPECT_TRUE(std::holds_alternative<model::Absent>(world.observe(id_of("bob"))));
    EXPECT_NE(world.content("vault").substr(offset, 256000), material);
    EXPECT_FALSE(opens("bob", bobs_password));
    EXPECT_TRUE(opens("alice", alices_password));
    EXPECT_TRUE(world.apply(id_of("bob"), Action::remove)) << "twice is once";
}

TEST_F(Members, AFileWithoutUsersSaysNothingOfWhoHasAKey) {
    const auto wanted = [&] {
        const auto seen = world.observe(id_of("alice"));
        return world.driver_of(model::Kind::keyslot)
            .orphan(id_of("alice"), std::get<model::Present>(seen), model::Mode::open);
    };
    EXPECT_EQ(wanted(), model::Presence::absent);
    world.spec.users.clear();
    EXPECT_EQ(wanted(), model::Presence::present);
}

TEST_F(Members, AKeyslotStandsOnItsOwnersAccountWhereThereIsADirectory) {
    const auto needs = [&] { return std::get<model::Present>(world.observe(id_of("alice"))).needs; };
    EXPECT_EQ(needs(), std::vector{VaultWorld::vault_id});
    world.spec.directory = specs::DirectorySpec{};
    world.renew();
    EXPECT_EQ(needs(), (std::vector{VaultWorld::vault_id, model::make_id(model::Kind::account, "alice")}));
}

TEST_F(Members, TheLastKeyslotAndTheLastSuperUsersNeverGo) {
    const auto refused = [&](const std::string& user) {
        const std::string before = world.content("vault");
        const auto revoked = world.apply(id_of(user), Action::remove);
        EXPECT_EQ(world.content("vault"), before);
        const auto assessed = world.driver_of(model::Kind::keyslot)
                                  .classify(Action::remove, {.id = id_of(user)}, world.observe(id_of(user)), {});
        EXPECT_EQ(assessed.disruption, model::Disruption::irreversible);
        EXPECT_FALSE(assessed.destroys.empty()) << "the plan is refused before anything is done";
        return !revoked && revoked.error().kind == base::Error::Kind::refused && !keys->remove(user, 1);
    };
    EXPECT_TRUE(refused("alice")) << "the last one";
    ASSERT_TRUE(enrol_bob());
    EXPECT_TRUE(refused("alice")) << "bob is left, who is no super-user";
    world.spec.users[1].super = {true};
    world.renew();
    keys = luks::make_vault_keys(world.setting(), world.api);
    EXPECT_TRUE(world.apply(id_of("alice"), Action::remove)) << "now there is another super-user";
    EXPECT_TRUE(refused("bob"));
}

TEST_F(Members, ASlotThatIsNobodysIsNeverTouchedAndCountsForNothing) {
    // Somebody adds a keyslot of their own with another tool, and a member accepts the header.
    ASSERT_TRUE(enrol_bob());
    luks::Header odd = world.header().look().header.value();
    odd.metadata["tokens"].erase(luks::user_tokens(odd)[1].id);
    ++odd.sequence;
    std::filesystem::remove_all(world.places().headers("vault"));
    const auto store = world.header().store();
    ASSERT_TRUE(store.announce(luks::record_of(odd, std::nullopt)));
    ASSERT_TRUE(store.commit());
    world.forge("vault", odd);
    EXPECT_EQ(keys->read().value().others, 1);
    EXPECT_TRUE(std::holds_alternative<model::Absent>(world.observe(id_of("bob"))));
    ASSERT_TRUE(world.apply(id_of("bob"), Action::remove));
    EXPECT_TRUE(luks::object_in(world.header().look().header->metadata, "keyslots").contains("1"));
    EXPECT_FALSE(world.apply(id_of("alice"), Action::remove)) << "what is nobody's may open nothing";
}

TEST_F(Members, AKeyslotThatOnlyTheRecordKnowsGoesWithItsOwner) {
    ASSERT_TRUE(enrol_bob());
    const luks::Header whole = world.header().look().header.value();
    const std::string device = world.content("vault", 10 * luks::mebibyte);
    const std::string token = luks::user_tokens(whole)[1].id;
    const std::string records = world.folder.path() / "records";
    std::filesystem::copy(world.places().headers("vault"), records);
    const std::vector<std::function<void(luks::Json&)>> deeds{
        [&](luks::Json& tokens) { tokens.erase(token); },
        [&](luks::Json& tokens) { tokens[token]["generation"] = 0; },
        [&](luks::Json& tokens) { tokens[token]["user"] = ""; },
        [&](luks::Json& tokens) { tokens[token]["type"] = "another"; },
    };
    for (std::size_t deed = 0; deed < deeds.size(); ++deed) {
        SCOPED_TRACE(deed);
        world.scribble("vault", 0, device);
        std::filesystem::remove_all(world.places().headers("vault"));
        std::filesystem::copy(records, world.places().headers("vault"));
        luks::Header stripped = whole;
        deeds[deed](stripped.metadata["tokens"]);
        ++stripped.sequence;
        world.forge("vault", stripped);
        const auto accepted = accept_header(world, "vault");
        ASSERT_TRUE(accepted) << to_text(accepted.error());
        const auto read = keys->read().value();
        EXPECT_EQ(read.keyslots, (std::vector<Keyslot>{{"alice", 1, 0}, {"bob", members::no_generation, 1}}));
        EXPECT_EQ(read.others, 0);
        EXPECT_EQ(keys->prove("bob", key_of("bob", bobs_password)).value(), std::nullopt);
        EXPECT_TRUE(keys->remove("alice", members::no_generation)) << "she has none";
        EXPECT_TRUE(keys->remove("bob", 1));
        EXPECT_EQ(world.header().look().header, stripped) << "nothing to do, nothing written";
        const auto removed = keys->remove("bob", members::no_generation);
        ASSERT_TRUE(removed) << to_text(removed.error());
        const luks::Header now = world.header().look().header.value();
        EXPECT_FALSE(luks::object_in(now.metadata, "keyslots").contains("1"));
        EXPECT_TRUE(luks::faults_of(now).empty());
        const luks::Taken taken = world.header().take().value();
        EXPECT_EQ(taken.image, luks::without_unused(taken.header, taken.image)) << "nor its area";
        EXPECT_TRUE(opens("alice", alices_password));
    }
}

TEST_F(Members, AHeaderWithLittleRoomSaysSoAndStaysAsItWas) {
    // Somebody else's token takes what there is, but for less than a keyslot and its token need.
    luks::Header small = world.header().look().header.value();
    const std::size_t free = small.copy_size - luks::binary_size - small.metadata.dump().size();
    small.metadata["tokens"]["9"] = {
        {"type", "another"}, {"keyslots", luks::Json::array()}, {"note", std::string(free - 400, 'x')}};
    ASSERT_EQ(luks::room_in(small), 0);
    ++small.sequence;
    world.forge("vault", small);
    ASSERT_TRUE(luks::HeaderStore(world.places().headers("vault")).announce(luks::record_of(small, std::nullopt)));
    ASSERT_TRUE(luks::HeaderStore(world.places().headers("vault")).commit());
    const std::string before = world.content("vault");
    const auto added = enrol_bob();
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().kind, base::Error::Kind::refused);
    EXPECT_NE(to_text(added.error()).find("no room"), std::string::npos);
    EXPECT_EQ(world.content("vault"), before);
}

TEST_F(Members, WithEverySlotTakenButOneThereIsNoRoomLeftToCount) {
    const luks::Header header = world.header().look().header.value();
    EXPECT_EQ(luks::room_in(header), 29) << "32 tokens: the vault's own, the provisioning's, alice's";
}

TEST_F(Members, OnlyEightBackupsAreKept) {
    for (members::Generation generation = 1; generation <= 6; ++generation) {
        ASSERT_TRUE(enrol_bob(generation));
        ASSERT_TRUE(keys->remove("bob", generation));
    }
    std::size_t backups = 0;
    for (const auto& entry : std::filesystem::directory_iterator(world.places().headers("vault"))) {
        struct stat status{};
        ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 077U, 0U) << entry.path();
        backups += entry.path().filename().string().starts_with("backup-") ? 1U : 0U;
    }
    EXPECT_EQ(backups, 8U);
}

}  // namespace
}  // namespace safe::test
