// `safectl header` as a whole command, on real LUKS2 headers in plain files.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "plugins/luks/vault_keys.hpp"
#include "reconciler/cli/cli.hpp"
#include "reconciler/intent/store.hpp"
#include "tests/support/luks/vouch.hpp"

namespace safe::test {

struct Said {
    int code = -1;
    std::string out;
    std::string err;
};

class HeaderCommands : public ::testing::Test {
 protected:
    void SetUp() override {
        world.format_vault();
        write_spec("alice: { name: Alice, super: true }");
    }

    void write_spec(const std::string& users, const std::string& data = "") const {
        std::ofstream(spec_file()) << "version: 1\nsafe: atlas\nnetwork: { bridge: br-atlas, address: 10.77.0.1/24 }\n"
                                   << "directory: { ldap: 'ldapi:///', base: 'dc=example,dc=org' }\n"
                                   << "volumes:\n  vault: { role: vault, file: '" << world.disk("vault") << "' }\n"
                                   << "  data: { role: data, "
                                   << (data.empty() ? "file: '" + world.disk("data") + "'" : data) << " }\n"
                                   << "users: { " << users << " }\n";
    }
    [[nodiscard]] std::filesystem::path spec_file() const { return world.folder.path() / "safe.yaml"; }
    [[nodiscard]] std::filesystem::path command_state() const { return world.folder.path() / "all" / "atlas"; }
    [[nodiscard]] std::filesystem::path kept(const std::string& name, const std::string& volume = "vault") const {
        return world.places().headers(volume) / name;
    }

    [[nodiscard]] Said safectl(std::vector<std::string> arguments, std::string_view password = {}) {
        std::array<int, 2> pipe{};
        if (::pipe(pipe.data()) != 0) throw std::runtime_error("pipe");
        const std::string line = std::string(password) + "\n";
        if (::write(pipe[1], line.data(), line.size()) < 0) throw std::runtime_error("write");
        ::close(pipe[1]);
        arguments.insert(arguments.begin(), {"safectl", "header"});
        for (const std::string& more : {std::string("-f"), spec_file().string(), std::string("--state-dir"),
                                        command_state().parent_path().string()})
            arguments.push_back(more);
        if (!password.empty()) {
            arguments.emplace_back("--password-fd");
            arguments.push_back(std::to_string(pipe[0]));
        }
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        const cli::Builtin builtin{
            .make_drivers = [](const driver::Setting&) { return std::vector<std::unique_ptr<driver::Driver>>(); },
            .missing_plugins = [](const specs::SafeSpec&) { return std::vector<model::Refusal>(); },
            .discard_state = nullptr,
            .make_vault_keys = nullptr,
            .make_directory = nullptr,
            .make_header_care =
                [this](const driver::Setting& setting, const std::string& volume) {
                    return luks::make_header_care({setting.spec, world.places(), setting.keys}, volume, world.api);
                }};
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        Said said;
        said.code = cli::run(static_cast<int>(argv.size()), argv.data(), builtin);
        std::fflush(stdout);
        said.out = ::testing::internal::GetCapturedStdout();
        said.err = ::testing::internal::GetCapturedStderr();
        ::close(pipe[0]);
        return said;
    }

    luks::Header header_now(const std::string& volume = "vault") { return world.header(volume).look().header.value(); }
    /// Another token in the header, as another tool or another hypervisor would leave it.
    void meddle(const std::string& volume = "vault") {
        luks::Header changed = header_now(volume);
        changed.metadata["tokens"]["9"] = {{"type", "note"}, {"keyslots", luks::Json::array()}};
        ++changed.sequence;
        world.forge(volume, changed);
    }
    void scribble_over_both(const std::string& volume = "vault") {
        world.scribble(volume, 4200, "damage");
        world.scribble(volume, 128 * luks::kibibyte + 4200, "damage");
    }
    bool opens(std::string_view password = alices_password) {
        world.give_key("alice", password);
        const bool opened = world.apply(VaultWorld::mapping_id, model::Action::add).has_value();
        world.mapper->open.clear();
        return opened;
    }
    void enrol_bob() {
        const auto keys = luks::make_vault_keys(world.setting(), world.api);
        const auto header = keys->read();
        ASSERT_TRUE(header);
        const auto key = [&](const std::string& user, std::string_view password) {
            return std::move(members::derive_keys(secret_of(password), header->derivation, user)->luks);
        };
        const base::Secret alices = key("alice", alices_password);
        const auto added = keys->add("bob", 1, key("bob", bobs_password), {{"alice", 1, 0}, alices});
        ASSERT_TRUE(added) << to_text(added.error());
    }
    /// Whether anything that is kept of the vault's header has a keyslot that bob's password opens.
    [[nodiscard]] bool bobs_key_is_kept() {
        const luks::HeaderStore store = world.header().store();
        std::vector<std::filesystem::path> files{store.kept_file()};
        for (const auto& [sequence, file] : store.backups()) files.push_back(file);
        return std::ranges::any_of(files, [&](const std::filesystem::path& file) {
            const auto image = world.header().take_file(file);
            if (!image) return false;
            const auto token = luks::vault_token(image->header);
            const luks::Unlock unlock{
                .key =
                    luks::MemberPassword{
                        .user = "bob", .password = &bobs_secret_, .salt = token->salt, .cost = token->cost},
                .slots = luks::slots_of(image->header, "bob")};
            return !unlock.slots.empty() && world.api->try_key(image->image, unlock).has_value();
        });
    }
    [[nodiscard]] unsigned wrong_passwords_of(const std::string& user) const {
        return intent::Store::open(command_state())->wrong_passwords(user, "local")->count;
    }

    VaultWorld world;

 private:
    const base::Secret bobs_secret_ = secret_of(bobs_password);
};

/// As the world is now, put back as often as wanted.
class Kept {
 public:
    explicit Kept(VaultWorld& world) : world_(world), device_(world.content("vault", 10 * luks::mebibyte)) {
        std::filesystem::copy(world.places().headers("vault"), folder(), std::filesystem::copy_options::recursive);
    }
    void put_back() const {
        world_.scribble("vault", 0, device_);
        std::filesystem::remove_all(world_.places().headers("vault"));
        std::filesystem::copy(folder(), world_.places().headers("vault"), std::filesystem::copy_options::recursive);
    }

 private:
    [[nodiscard]] std::filesystem::path folder() const { return world_.folder.path() / "kept"; }
    VaultWorld& world_;
    std::string device_;
};

}  // namespace safe::test
