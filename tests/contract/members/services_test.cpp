// What members are managed over, held to the same by the fakes of the unit tests and by the real ones: a vault's header
// in a text file and in LUKS2, a directory in memory and in slapd.
#include <gtest/gtest.h>

#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/members_directory.hpp"
#include "plugins/luks/vault_keys.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/ldap/private_slapd.hpp"
#include "tests/support/luks/vault_world.hpp"
#include "tests/support/members/file_vault.hpp"
#include "tests/support/members/memory_directory.hpp"

namespace safe::members {
namespace {

using base::Error;
using test::secret_of;

enum class Kind { fake, real };

std::string name_of(const ::testing::TestParamInfo<Kind>& kind) { return kind.param == Kind::fake ? "Fake" : "Real"; }

base::Secret key(char c) { return secret_of(std::string(32, c)); }

// --- the vault's header

class Vault : public ::testing::TestWithParam<Kind> {
 protected:
    void SetUp() override {
        if (GetParam() == Kind::real) {
            world = std::make_unique<test::VaultWorld>();
            world->spec.users.push_back(test::sample_user("carol", true));
            world->format_vault();
            vault = luks::make_vault_keys(world->setting(), world->api);
        } else {
            auto fake = std::make_unique<test::FileVault>(folder.path() / "header");
            fake->format("alice",
                         derive_keys(secret_of(test::alices_password), test::FileVault::derivation(), "alice")->luks);
            vault = std::move(fake);
        }
        alice = derive_keys(secret_of(test::alices_password), vault->read()->derivation, "alice").value();
    }
    std::string bytes() const {
        if (GetParam() == Kind::real) return world->content("vault");
        return base::read_file(folder.path() / "header", 1 << 20).value();
    }
    Sponsor sponsor() const { return {{"alice", 1, 0}, alice.luks}; }
    template <class T>
    void refused(const base::Result<T>& result, const std::string& before) const {
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().kind, Error::Kind::refused) << to_text(result.error());
        EXPECT_EQ(bytes(), before) << "byte for byte";
    }

    testing::TemporaryDirectory folder;
    std::unique_ptr<test::VaultWorld> world;
    std::unique_ptr<VaultKeys> vault;
    Keys alice;
};

TEST_P(Vault, AddProveRemove) {
    ASSERT_EQ(vault->read()->keyslots, (std::vector<Keyslot>{{"alice", 1, 0}}));
    const int room = vault->read()->room;
    EXPECT_GE(room, 29);
    EXPECT_EQ(vault->prove("alice", alice.luks).value(), (Keyslot{"alice", 1, 0}));
    EXPECT_EQ(vault->prove("alice", key('x')).value(), std::nullopt);
    EXPECT_EQ(vault->prove("bob", alice.luks).value(), std::nullopt) << "another's name";

    const auto added = vault->add("bob", 1, key('b'), sponsor());
    ASSERT_TRUE(added) << to_text(added.error());
    EXPECT_EQ(vault->prove("bob", key('b')).value(), *added);
    ASSERT_TRUE(vault->add("bob", 2, key('c'), {*added, key('b')}));
    EXPECT_EQ(vault->read()->keyslots.size(), 3U);
    EXPECT_EQ(vault->read()->room, room - 2);
    EXPECT_EQ(vault->prove("bob", key('c')).value()->generation, 2U);
    EXPECT_EQ(vault->prove("bob", key('b')).value()->generation, 1U);

    ASSERT_TRUE(vault->remove("bob", 1));
    EXPECT_EQ(vault->prove("bob", key('b')).value(), std::nullopt);
    EXPECT_EQ(vault->prove("bob", key('c')).value()->generation, 2U);
    EXPECT_EQ(vault->prove("alice", alice.luks).value(), (Keyslot{"alice", 1, 0}));
}

TEST_P(Vault, WhatIsRefusedOrNotThereLeavesEveryByte) {
    ASSERT_TRUE(vault->add("bob", 1, key('b'), sponsor()));
    const std::string before = bytes();
    refused(vault->add("bob", 1, key('c'), sponsor()), before);
    const base::Secret wrong = key('x');
    refused(vault->add("carol", 1, key('c'), {{"alice", 1, 0}, wrong}), before);
    EXPECT_TRUE(vault->remove("bob", 7));
    EXPECT_TRUE(vault->remove("*)(uid=*", 1));
    EXPECT_EQ(bytes(), before) << "nothing to do, nothing written";
}

TEST_P(Vault, TheLastKeyslotStays) { refused(vault->remove("alice", 1), bytes()); }

TEST_P(Vault, AsManyFitAsItSaysAndNoMore) {
    const int room = vault->read()->room;
    for (int i = 0; i < room; ++i) {
        const auto added = vault->add("bob", static_cast<Generation>(i + 1), key('b'), sponsor());
        ASSERT_TRUE(added) << i << ": " << to_text(added.error());
    }
    EXPECT_EQ(vault->read()->room, 0);
    refused(vault->add("carol", 1, key('c'), sponsor()), bytes());
    EXPECT_EQ(vault->prove("bob", key('b')).value()->user, "bob");
}

INSTANTIATE_TEST_SUITE_P(Services, Vault, ::testing::Values(Kind::fake, Kind::real), name_of);

// --- the directory

class People : public ::testing::TestWithParam<Kind> {
 protected:
    void SetUp() override {
        if (GetParam() == Kind::fake) {
            auto fake = std::make_unique<test::MemoryDirectory>();
            for (const char* user : {"alice", "bob"}) fake->add_account(user);
            directory = std::move(fake);
            return;
        }
        if (const auto why = test::PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        slapd = std::make_unique<test::PrivateSlapd>();
        specs::SafeSpec spec;
        spec.directory = specs::DirectorySpec{};
        spec.directory->ldap.value = slapd->local_uri();
        spec.directory->base.value = test::PrivateSlapd::base;
        for (const char* user : {"alice", "bob"}) {
            spec.users.push_back(test::sample_user(user, true));
            spec.users.back().full_name.value = user;
        }
        const driver::KeyRing no_key;
        const driver::Setting setting{spec, driver::Places("atlas", "/nowhere"), no_key};
        const auto driver = std::move(ldap::make_drivers(setting).front());
        for (const model::Resource& resource : driver->desire(spec, model::Mode::closed).resources) {
            model::Step step;
            step.resource = resource.id;
            ASSERT_TRUE(driver->apply(step, resource, model::Absent{}, {}));
        }
        directory = ldap::make_directory(setting);
    }

    std::unique_ptr<test::PrivateSlapd> slapd;
    std::unique_ptr<Directory> directory;
};

TEST_P(People, PasswordAndGenerationGoTogether) {
    EXPECT_EQ(directory->find("bob").value(), (DirectoryEntry{"bob", std::nullopt}));
    EXPECT_EQ(directory->find("nobody").value(), std::nullopt);
    EXPECT_FALSE(directory->binds("bob", key('1')).value());
    ASSERT_TRUE(directory->set_password("bob", std::nullopt, 1, key('1')));
    EXPECT_TRUE(directory->binds("bob", key('1')).value());
    EXPECT_EQ(directory->find("bob").value()->generation, 1U);
    for (const std::optional<Generation> stale : {std::optional<Generation>(), std::optional<Generation>(7)}) {
        const auto late = directory->set_password("bob", stale, 9, key('9'));
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().error.kind, Error::Kind::refused);
    }
    EXPECT_TRUE(directory->binds("bob", key('1')).value());
    ASSERT_TRUE(directory->set_password("bob", 1, 2, key('2')));
    EXPECT_FALSE(directory->binds("bob", key('1')).value());
    EXPECT_TRUE(directory->binds("bob", key('2')).value());
    EXPECT_EQ(directory->list().value(), (std::vector<DirectoryEntry>{{"alice", std::nullopt}, {"bob", 2}}));
}

TEST_P(People, AFenceChangesNothingThatIsSeen) {
    ASSERT_TRUE(directory->fence("bob", std::nullopt));
    EXPECT_EQ(directory->find("bob").value(), (DirectoryEntry{"bob", std::nullopt}));
    ASSERT_TRUE(directory->set_password("bob", std::nullopt, 1, key('1')));
    ASSERT_TRUE(directory->fence("bob", 1));
    ASSERT_TRUE(directory->fence("bob", 1));
    EXPECT_TRUE(directory->binds("bob", key('1')).value());
    for (const std::optional<Generation> another : {std::optional<Generation>(), std::optional<Generation>(2)}) {
        const auto refused = directory->fence("bob", another);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().kind, Error::Kind::refused);
    }
    ASSERT_TRUE(directory->set_password("bob", 1, 2, key('2')));
    EXPECT_TRUE(directory->binds("bob", key('2')).value());
}

TEST_P(People, AnEmptyKeyIsNeverTried) {
    ASSERT_TRUE(directory->set_password("bob", std::nullopt, 1, key('1')));
    const auto tried = directory->binds("bob", base::Secret());
    ASSERT_FALSE(tried);
    EXPECT_EQ(tried.error().kind, Error::Kind::refused);
}

TEST_P(People, RemovingIsFinal) {
    ASSERT_TRUE(directory->remove("bob"));
    ASSERT_TRUE(directory->remove("bob"));
    EXPECT_EQ(directory->find("bob").value(), std::nullopt);
    EXPECT_EQ(directory->set_password("bob", std::nullopt, 1, key('1')).error().error.kind, Error::Kind::refused);
    EXPECT_TRUE(directory->find("alice").value());
}

TEST_P(People, HostileNamesAreNobody) {
    using namespace std::string_literals;
    for (const std::string& name :
         {"*)(uid=*"s, "*"s, "bob\0"s, "bob,ou=people"s, "bob+uid=alice"s, " bob"s, "bob "s, "BOB"s, "böb"s, ""s}) {
        const auto found = directory->find(name);
        EXPECT_TRUE(!found || !*found) << name;
        EXPECT_FALSE(directory->set_password(name, std::nullopt, 1, key('1'))) << name;
        EXPECT_TRUE(directory->remove(name)) << name;
    }
    EXPECT_EQ(directory->list()->size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Services, People, ::testing::Values(Kind::fake, Kind::real), name_of);

}  // namespace
}  // namespace safe::members
