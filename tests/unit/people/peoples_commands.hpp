// Whole commands, with members' keys in a plain file in the vault's place, a directory in memory, and drivers for what
// is there while the safe is open: one volume that is mounted, and what else a test names. What the tests of this
// folder share.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <array>
#include <fstream>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/base/file.hpp"
#include "reconciler/cli/cli.hpp"
#include "reconciler/intent/effective_mode.hpp"
#include "reconciler/intent/store.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/members/file_vault.hpp"
#include "tests/support/members/memory_directory.hpp"
#include "tests/support/memory_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::cli {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

inline constexpr const char* spec = R"(version: 1
safe: atlas
network: { bridge: br-atlas, address: 10.77.0.1/24 }
volumes: { vault: { role: vault, file: vault.img } }
directory: { ldap: "ldapi:///", base: "dc=atlas,dc=example,dc=org" }
users:
  alice: { name: Alice, super: true }
  bob: { name: Bob }
  carol: { name: Carol }
)";

inline base::Secret secret(std::string_view text) { return *base::Secret::copy_of(std::as_bytes(std::span(text))); }

struct Said {
    int code = -1;
    std::string out;
    std::string err;
};

/// A header that says something else each time it is read, if so told, and whose keyslots are those of a file.
class ToldHeader : public members::HeaderCare {
 public:
    ToldHeader(fs::path file, std::vector<std::string>& told, int& carried_out)
        : file_(std::move(file)), told_(told), carried_out_(carried_out) {}
    std::vector<members::SeenHeader> list() override { return {}; }
    base::Result<void> back_up(const fs::path& /*out*/) override { return {}; }
    base::Result<std::unique_ptr<members::HeaderClaim>> to_accept() override {
        const std::string told = told_.front();
        if (told_.size() > 1) told_.erase(told_.begin());
        return std::make_unique<Claim>(file_, std::vector{told}, carried_out_);
    }
    base::Result<std::unique_ptr<members::HeaderClaim>> to_restore(const fs::path& /*from*/) override {
        return to_accept();
    }

 private:
    class Claim : public members::HeaderClaim {
     public:
        Claim(const fs::path& file, std::vector<std::string> told, int& carried_out)
            : vault_(file), told_(std::move(told)), needs_(*vault_.read()), carried_out_(carried_out) {}
        const std::vector<std::string>& told() const override { return told_; }
        const std::optional<members::VaultHeader>& needs() const override { return needs_; }
        base::Result<std::optional<members::Keyslot>> prove(std::string_view user, const base::Secret& key) override {
            return vault_.prove(user, key);
        }
        base::Result<std::string> carry_out() override {
            ++carried_out_;
            return "done";
        }

     private:
        test::FileVault vault_;
        std::vector<std::string> told_;
        std::optional<members::VaultHeader> needs_;
        int& carried_out_;
    };

    fs::path file_;
    std::vector<std::string>& told_;
    int& carried_out_;
};

class PeoplesCommands : public ::testing::Test {
 protected:
    void SetUp() override {
        std::ofstream(home_.path() / "safe.yaml") << spec;
        test::FileVault vault(header());
        const auto key = [&](const std::string& user) {
            return std::move(members::derive_keys(secret(user + "'s word"), test::FileVault::derivation(), user)->luks);
        };
        vault.format("alice", key("alice"));
        const base::Secret alices = key("alice");
        for (const std::string user : {"bob", "carol"})
            ASSERT_TRUE(vault.add(user, 1, key(user), {members::Keyslot{"alice", 1, 0}, alices}));
    }

    [[nodiscard]] fs::path header() const { return home_.path() / "header"; }
    [[nodiscard]] fs::path state() const { return home_.path() / "state" / "atlas"; }

    [[nodiscard]] Said safectl(std::vector<std::string> arguments, const std::string& password = "") const {
        std::array<int, 2> pipe{};
        if (::pipe(pipe.data()) != 0) throw std::runtime_error("pipe");
        const std::string line = password + "\n";
        if (::write(pipe[1], line.data(), line.size()) < 0) throw std::runtime_error("write");
        ::close(pipe[1]);
        arguments.insert(arguments.begin(), "safectl");
        for (const std::string& more : {std::string("-f"), (home_.path() / "safe.yaml").string(),
                                        std::string("--state-dir"), (home_.path() / "state").string()})
            arguments.push_back(more);
        if (!password.empty()) {
            arguments.emplace_back("--password-fd");
            arguments.push_back(std::to_string(pipe[0]));
        }
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        const Builtin builtin{
            .make_drivers =
                [this](const driver::Setting&) {
                    std::vector<std::unique_ptr<driver::Driver>> drivers;
                    for (const model::Resource& thing : while_open_) {
                        std::vector kinds{thing.id.kind};
                        if (thing.id == session) kinds.push_back(model::Kind::mapping);  // seen, and not declared
                        drivers.push_back(
                            std::make_unique<testing::MemoryDriver>(world_, kinds, [thing](model::Mode mode) {
                                model::Resource wanted = thing;
                                wanted.presence =
                                    mode == model::Mode::open ? model::Presence::present : model::Presence::absent;
                                return std::vector{wanted};
                            }));
                    }
                    return drivers;
                },
            .missing_plugins = [this](const specs::SafeSpec&) { return refusals_; },
            .discard_state = [](const driver::Setting&, const std::string& vm) -> base::Result<std::string> {
                return vm + " is discarded";
            },
            .make_vault_keys =
                [this](const driver::Setting&) {
                    if (while_logging_in_) while_logging_in_();
                    return std::make_unique<test::FileVault>(header());
                },
            .make_directory = [this](const driver::Setting&) { return directory(); },
            .make_header_care = [this](const driver::Setting&, const std::string& volume)
                -> base::Result<std::unique_ptr<members::HeaderCare>> {
                if (!told_.empty()) return std::make_unique<ToldHeader>(header(), told_, carried_out_);
                return base::fail({"look at", volume, "without the plugin", "", base::Error::Kind::refused});
            }};
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        Said said;
        said.code = run(static_cast<int>(argv.size()), argv.data(), builtin);
        std::fflush(stdout);
        said.out = ::testing::internal::GetCapturedStdout();
        said.err = ::testing::internal::GetCapturedStderr();
        ::close(pipe[0]);
        return said;
    }

    [[nodiscard]] std::unique_ptr<members::Directory> directory() const {
        auto directory = std::make_unique<test::MemoryDirectory>();
        for (const auto& [user, word] : words_) {
            const auto keys = members::derive_keys(secret(word), test::FileVault::derivation(), user);
            directory->add_account(user);
            if (!directory->set_password(user, std::nullopt, 1, keys->directory)) throw std::logic_error(user);
        }
        if (directory_is_down_) directory->fault = [](auto) { return test::MemoryDirectory::Fault::before; };
        return directory;
    }
    [[nodiscard]] intent::Snapshot kept() const { return *intent::Store::read(state()); }
    [[nodiscard]] std::string mode() const {
        return nlohmann::json::parse(safectl({"status", "--format", "json"}).out)["mode"];
    }
    [[nodiscard]] bool is_mounted() const { return world_.things.contains(mount); }
    void append_to_spec(const std::string& line) const {
        std::ofstream(home_.path() / "safe.yaml", std::ios::app) << line << '\n';
    }
    void detach() {
        while_open_.push_back({.id = session, .attributes = attached(true)});
        fs::create_directories(state());
    }
    [[nodiscard]] std::string header_text() const { return base::read_file(header(), 1 << 20).value(); }

    static model::Attributes attached(bool is) {
        model::Attributes attributes;
        attributes.set("attached", is);
        return attributes;
    }
    inline static const model::ResourceId mount{model::Kind::mount, "vault"};
    inline static const model::ResourceId session{model::Kind::session, "vault"};
    inline static const model::ResourceId ruleset{model::Kind::ruleset, "open"};
    testing::TemporaryDirectory home_;
    std::map<std::string, std::string> words_{
        {"alice", "alice's word"}, {"bob", "bob's word"}, {"carol", "carol's word"}};  // as the directory has them
    bool directory_is_down_ = false;
    std::vector<model::Resource> while_open_{{.id = mount}};  // each with a driver of its own
    std::vector<model::Refusal> refusals_;                    // of every plan
    mutable std::vector<std::string> told_;  // of headers, reading by reading; empty: without the plugin
    mutable int carried_out_ = 0;
    std::function<void()> while_logging_in_;
    mutable testing::MemoryWorld world_;  // one volume, mounted while the safe is open
};

}  // namespace safe::cli
