// `safectl open` with a member's key on a real header: what it costs. Every derivation of this process is counted where
// libsodium would make it; one in the key helper's is counted by the password that it is handed for it.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <sodium.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "plugins/luks/vault_keys.hpp"
#include "reconciler/cli/cli.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/luks/vault_world.hpp"
#include "tests/support/members/memory_directory.hpp"

namespace {
std::atomic<int> derivations{0};
}  // namespace

/// In libsodium's place for everything in this program.
int crypto_pwhash(unsigned char* const out, unsigned long long out_size, const char* const password,
                  unsigned long long password_size, const unsigned char* const salt, unsigned long long passes,
                  std::size_t memory, int algorithm) {
    using Original = decltype(&crypto_pwhash);
    static const auto original = reinterpret_cast<Original>(::dlsym(RTLD_NEXT, "crypto_pwhash"));
    ++derivations;
    return original(out, out_size, password, password_size, salt, passes, memory, algorithm);
}

namespace safe::test {
namespace {

class CountingApi final : public luks::Api {
 public:
    explicit CountingApi(std::shared_ptr<luks::Api> counted) : counted_(std::move(counted)) {}

    luks::Outcome<std::string> format(const luks::Formatting& formatting, const luks::Key& first) override {
        count(first);
        return counted_->format(formatting, first);
    }
    luks::Outcome<int> try_key(const std::string& image, const luks::Unlock& unlock) override {
        count(unlock.key);
        return counted_->try_key(image, unlock);
    }
    luks::Outcome<std::string> add_keyslot(const std::string& image, const luks::Unlock& sponsor,
                                           const luks::NewKeyslot& fresh, const luks::Edit& besides) override {
        count(sponsor.key);
        count(fresh.key);
        return counted_->add_keyslot(image, sponsor, fresh, besides);
    }
    luks::Outcome<std::string> edit(const std::string& image, const luks::Edit& edit) override {
        return counted_->edit(image, edit);
    }
    luks::Outcome<int> activate(const std::string& image, const luks::Unlock& unlock,
                                const luks::Activation& activation) override {
        count(unlock.key);
        return counted_->activate(image, unlock, activation);
    }
    luks::Outcome<void> deactivate(const std::string& name, luks::Closing how) override {
        return counted_->deactivate(name, how);
    }
    base::Result<bool> resume(const std::string& name) override { return counted_->resume(name); }
    base::Result<std::vector<luks::Mapping>> mappings() override { return counted_->mappings(); }
    base::Result<bool> holds_file_system(const std::string& name) override { return counted_->holds_file_system(name); }
    base::Result<bool> mounted(const std::string& name, const std::filesystem::path& place) override {
        return counted_->mounted(name, place);
    }

 private:
    static void count(const luks::Key& key) {
        if (std::holds_alternative<luks::MemberPassword>(key)) ++derivations;
    }
    const std::shared_ptr<luks::Api> counted_;
};

class Login : public ::testing::Test {
 protected:
    void SetUp() override {
        world.api = std::make_shared<CountingApi>(world.mapper);
        world.spec.volumes.pop_back();
        std::ofstream(world.folder.path() / "safe.yaml")
            << "version: 1\nsafe: atlas\nvolumes: { vault: { role: vault, file: '" << world.disk("vault")
            << "', provision: if-blank, encryption: { kdf: { memory: 32MiB } } } }\n"
            << "directory: { ldap: 'ldapi:///', base: 'dc=example,dc=org' }\n"
            << "users: { alice: { name: Alice, super: true } }\n";
    }

    /// `safectl open --user alice`; its exit code.
    int open(std::string_view password) {
        std::array<int, 2> pipe{};
        if (::pipe(pipe.data()) != 0) throw std::runtime_error("pipe");
        const std::string line = std::string(password) + "\n";
        if (::write(pipe[1], line.data(), line.size()) < 0) throw std::runtime_error("write");
        ::close(pipe[1]);
        std::vector<std::string> arguments{"safectl",
                                           "open",
                                           "--user",
                                           "alice",
                                           "--password-fd",
                                           std::to_string(pipe[0]),
                                           "-f",
                                           world.folder.path() / "safe.yaml",
                                           "--state-dir",
                                           world.folder.path() / "all"};
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        const auto here = [this](const driver::Setting& setting) {
            return driver::Setting{setting.spec, world.places(), setting.keys};
        };
        const cli::Builtin builtin{
            .make_drivers =
                [&](const driver::Setting& setting) { return luks::make_drivers(here(setting), world.api); },
            .missing_plugins = [](const specs::SafeSpec&) { return std::vector<model::Refusal>(); },
            .discard_state = nullptr,
            .make_vault_keys =
                [&](const driver::Setting& setting) { return luks::make_vault_keys(here(setting), world.api); },
            .make_directory = [&](const driver::Setting&) { return directory(); },
            .make_header_care = nullptr};
        derivations = 0;
        const int code = cli::run(static_cast<int>(argv.size()), argv.data(), builtin);
        ::close(pipe[0]);
        return code;
    }
    /// In which alice has the other key of her password, if there is a vault.
    std::unique_ptr<members::Directory> directory() {
        auto directory = std::make_unique<MemoryDirectory>();
        directory->add_account("alice");
        if (alices_key && !directory->set_password("alice", std::nullopt, 1, *alices_key))
            throw std::logic_error("alice");
        return directory;
    }
    void format() {
        world.format_vault();
        const auto derivation = luks::make_vault_keys(world.setting(), world.api)->read()->derivation;
        alices_key = std::move(members::derive_keys(secret_of(alices_password), derivation, "alice").value().directory);
    }
    [[nodiscard]] bool is_open() const { return world.mapper->open.contains("safe-atlas-vault"); }

    VaultWorld world;
    std::optional<base::Secret> alices_key;
};

TEST_F(Login, CostsOneDerivation) {
    format();
    ASSERT_EQ(open(alices_password), 0);
    EXPECT_TRUE(is_open());
    EXPECT_EQ(derivations, 1);
}

TEST_F(Login, WithAWrongPasswordTooAndOpensNothing) {
    format();
    EXPECT_EQ(open("guess"), 4);
    EXPECT_FALSE(is_open());
    EXPECT_EQ(derivations, 1);
}

TEST_F(Login, MakingTheVaultCostsOneMore) {
    ASSERT_EQ(open(alices_password), 0);
    EXPECT_TRUE(is_open());
    EXPECT_EQ(derivations, 2);
}

/// A key that was derived for another header is not tried on this one.
TEST_F(Login, AHeaderWithAnotherSaltOrCostGetsThePasswordItself) {
    world.format_vault();
    const luks::Header header = world.header().look().header.value();
    const luks::VaultToken token = luks::vault_token(header).value();
    const auto seed = base::derive_seed(secret_of(alices_password), token.salt, "alice", token.cost);
    const auto unlock_with = [&](std::vector<std::byte> salt, base::DerivationCost cost) {
        world.keys.put({.user = "alice",
                        .password = secret_of(alices_password),
                        .derived = driver::DerivedKey{base::derive_subkey(*seed, base::luks_label).value(),
                                                      std::move(salt), cost}});
        return luks::Ground{world.setting(), world.api}.unlock(world.spec.volumes[0], header).value().key;
    };
    std::vector<std::byte> salt = token.salt;
    EXPECT_TRUE(std::holds_alternative<luks::SubKey>(unlock_with(salt, token.cost)));
    salt.front() ^= std::byte{1};
    EXPECT_TRUE(std::holds_alternative<luks::MemberPassword>(unlock_with(salt, token.cost)));
    base::DerivationCost cost = token.cost;
    ++cost.passes;
    EXPECT_TRUE(std::holds_alternative<luks::MemberPassword>(unlock_with(token.salt, cost)));
    EXPECT_TRUE(world.apply(VaultWorld::mapping_id, model::Action::add)) << "and opens all the same";
}

}  // namespace
}  // namespace safe::test
