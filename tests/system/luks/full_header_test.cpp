// As many members as a real header holds, the next one, and what can still be done when it is full.
#include <gmock/gmock.h>

#include "plugins/luks/vault_keys.hpp"
#include "reconciler/base/process.hpp"
#include "reconciler/members/changes.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/luks/vouch.hpp"
#include "tests/support/members/memory_attempts.hpp"
#include "tests/support/members/memory_directory.hpp"

namespace safe::test {
namespace {

using ::testing::HasSubstr;

constexpr int most_members = 30;

class FullHeader : public ::testing::Test {
 protected:
    void SetUp() override {
        make();
        vault = luks::make_vault_keys(world.setting(), world.api);
        derivation = vault->read().value().derivation;
        alice = keys("alice", alices_password);
        directory.add_account("alice");
        ASSERT_TRUE(directory.set_password("alice", std::nullopt, 1, alice.directory));
    }

    /// A vault with its file system: nothing but members takes tokens any more.
    virtual void make() {
        world.format_vault();
        const luks::Taken fresh = world.header().take().value();
        const auto finished = world.api->edit(
            fresh.image,
            {.kill = {}, .remove_tokens = luks::tokens_of(fresh.header, "safe-provisioning"), .tokens = {}});
        ASSERT_TRUE(finished);
        ASSERT_TRUE(world.header().put(fresh, *finished));
    }

    members::Keys keys(const std::string& user, std::string_view password) const {
        return members::derive_keys(secret_of(password), derivation, user).value();
    }
    static std::string name_of(int number) { return "member-" + std::to_string(number); }
    members::Parts parts() {
        std::vector<members::Member> roster{{"alice", true}};
        for (int i = 2; i <= most_members + 1; ++i) roster.push_back({name_of(i)});
        return {*vault, directory, attempts, std::move(roster)};
    }
    /// Members `first` to `last` in one change of the header, and without a derivation for each: what they know does
    /// not matter here.
    void enrol_quickly(int first, int last) {
        const base::Secret key = secret_of(std::string(32, 'k'));
        const luks::Taken taken = world.header().take().value();
        std::string image = taken.image;
        for (int number = first; number <= last; ++number) {
            const auto added =
                world.api->add_keyslot(image, {.key = luks::SubKey{&alice.luks}, .slots = {0}},
                                       {.key = luks::SubKey{&key}, .user = name_of(number), .generation = 1}, {});
            ASSERT_TRUE(added) << to_text(added.error().error);
            image = *added;
            directory.add_account(name_of(number));
            ASSERT_TRUE(directory.set_password(name_of(number), std::nullopt, 1, key));
        }
        const auto put = world.header().put(taken, image);
        ASSERT_TRUE(put) << to_text(put.error());
    }
    base::Result<members::Done> enrol(int number) {
        directory.add_account(name_of(number));
        return members::enrol(parts(), name_of(number), secret_of(name_of(number)), "alice",
                              secret_of(alices_password));
    }
    /// With so many members: a further one is refused, and the last one's password can still be changed.
    void expect_full(int members_there) {
        directory.add_account(name_of(members_there + 1));
        const std::string before = world.content("vault");
        const auto entries = directory.everything();
        const auto refused = enrol(members_there + 1);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().kind, base::Error::Kind::refused);
        EXPECT_THAT(to_text(refused.error()), HasSubstr("no room for a further member"));
        EXPECT_EQ(world.content("vault"), before) << "byte for byte";
        EXPECT_EQ(directory.everything(), entries);

        const auto changed = members::change_password(parts(), name_of(members_there),
                                                      secret_of(name_of(members_there)), secret_of("another word"));
        ASSERT_TRUE(changed) << to_text(changed.error());
        EXPECT_FALSE(changed->waits);
        EXPECT_TRUE(opens_and_binds(name_of(members_there), "another word"));
        EXPECT_FALSE(opens_and_binds(name_of(members_there), name_of(members_there)));
        EXPECT_TRUE(opens_and_binds("alice", alices_password));
    }
    bool opens_and_binds(const std::string& user, std::string_view password) {
        const members::Keys both = keys(user, password);
        return vault->prove(user, both.luks).value().has_value() && directory.binds(user, both.directory).value();
    }

    VaultWorld world;
    std::unique_ptr<members::VaultKeys> vault;
    members::Derivation derivation;
    members::Keys alice;
    MemoryDirectory directory;
    MemoryAttempts attempts;
};

TEST_F(FullHeader, ThirtyFitTheNextIsRefusedAndPasswordsCanStillBeChanged) {
    enrol_quickly(2, most_members - 1);
    const auto last = enrol(most_members);
    ASSERT_TRUE(last) << to_text(last.error());
    EXPECT_FALSE(last->waits);
    EXPECT_TRUE(opens_and_binds(name_of(most_members), name_of(most_members)));
    EXPECT_EQ(vault->read().value().keyslots.size(), std::size_t{most_members});
    EXPECT_EQ(vault->read().value().room, 1) << "to change passwords through";

    expect_full(most_members);
    EXPECT_EQ(vault->read().value().room, 1);
    // And cryptsetup, which shares no code of ours, has nothing against it.
    const auto dump = base::run_process({"cryptsetup", "luksDump", "--dump-json-metadata", world.disk("vault")});
    ASSERT_TRUE(dump && dump->status == 0);
    const luks::Json metadata = luks::Json::parse(dump->output);
    EXPECT_EQ(metadata.at("keyslots").size(), std::size_t{most_members});
    EXPECT_EQ(metadata.at("tokens").size(), std::size_t{most_members} + 1);
}

/// Made by cryptsetup, elsewhere: copies of 16 KiB, the usual size, where ours have 128; and half of one is taken by
/// what somebody else keeps there.
class SmallHeader : public FullHeader {
 protected:
    void make() override {
        const luks::VaultToken token{
            .salt = std::vector(16, std::byte{7}), .cost = {32 * luks::mebibyte, 1}, .sequence = 1};
        const auto key = members::derive_keys(secret_of(alices_password), {token.salt, token.cost}, "alice");
        const auto in_file = [&](const char* name, std::string_view content) {
            std::ofstream(world.folder.path() / name, std::ios::binary) << content;
            return (world.folder.path() / name).string();
        };
        const auto done = [](const std::vector<std::string>& command) {
            const auto run = base::run_process(command);
            ASSERT_TRUE(run && run->status == 0) << command[1] << ": " << (run ? run->output : to_text(run.error()));
        };
        const std::string disk = world.disk("vault");
        const luks::Json elsewheres{
            {"type", "elsewhere"}, {"keyslots", luks::Json::array()}, {"note", std::string(8000, 'x')}};
        done({"cryptsetup",
              "luksFormat",
              "--batch-mode",
              "--type",
              "luks2",
              "--luks2-metadata-size",
              "16k",
              "--subsystem",
              world.places().subsystem("vault"),
              "--cipher",
              "aes-xts-plain64",
              "--key-size",
              "512",
              "--pbkdf",
              "argon2id",
              "--pbkdf-memory",
              "32768",
              "--pbkdf-force-iterations",
              "4",
              "--pbkdf-parallel",
              "1",
              "--key-file",
              in_file("key", key->luks.view()),
              disk});
        for (const luks::Json& made : {luks::to_json(token), luks::user_token("alice", 1, {0}), elsewheres})
            done({"cryptsetup", "token", "import", "--json-file", in_file("token", made.dump()), disk});
        world.give_key("alice", alices_password);
        const auto accepted = accept_header(world, "vault");
        ASSERT_TRUE(accepted) << to_text(accepted.error());
    }
};

TEST_F(SmallHeader, AsManyFitAsItsMetadataHasRoomFor) {
    int there = 1;
    for (; vault->read().value().room > 2; ++there) {
        ASSERT_LT(there, most_members);
        enrol_quickly(there + 1, there + 1);
        ASSERT_FALSE(HasFatalFailure());
    }
    // How much one takes is only known once it is there.
    do {
        const auto last = enrol(++there);
        ASSERT_TRUE(last) << to_text(last.error());
    } while (vault->read().value().room > 1);
    EXPECT_GE(there, 3);
    EXPECT_LT(there, most_members / 2);
    expect_full(there);
}

}  // namespace
}  // namespace safe::test
