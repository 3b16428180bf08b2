// safectl lock, unlock, task, status and discard-state as whole commands, with members' keys in a plain file in the
// vault's place and no driver at all: who must prove what, what is kept, and what is said.
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
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* spec = R"(version: 1
safe: atlas
network: { bridge: br-atlas, address: 10.77.0.1/24 }
volumes: { vault: { role: vault, file: vault.img } }
directory: { ldap: "ldapi:///", base: "dc=atlas,dc=example,dc=org" }
users:
  alice: { name: Alice, super: true }
  bob: { name: Bob }
  carol: { name: Carol }
)";

base::Secret secret(std::string_view text) { return *base::Secret::copy_of(std::as_bytes(std::span(text))); }

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
                    drivers.push_back(std::make_unique<testing::MemoryDriver>(
                        world_, std::vector{model::Kind::mount}, [](model::Mode mode) {
                            const auto there =
                                mode == model::Mode::open ? model::Presence::present : model::Presence::absent;
                            return std::vector{model::Resource{.id = mount, .presence = there}};
                        }));
                    if (detached_)
                        drivers.push_back(std::make_unique<testing::MemoryDriver>(
                            world_, std::vector{model::Kind::session}, [](model::Mode mode) {
                                const auto there =
                                    mode == model::Mode::open ? model::Presence::present : model::Presence::absent;
                                return std::vector{model::Resource{.id = session, .presence = there}};
                            }));
                    return drivers;
                },
            .missing_plugins = [](const specs::SafeSpec&) { return std::vector<model::Refusal>(); },
            .discard_state = [](const driver::Setting&, const std::string& vm) -> base::Result<std::string> {
                return vm + " is discarded";
            },
            .make_vault_keys = [this](const driver::Setting&) { return std::make_unique<test::FileVault>(header()); },
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
        if (while_logging_in_) while_logging_in_();
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
    void detach() {
        detached_ = true;
        fs::create_directories(state());
    }
    [[nodiscard]] std::string header_text() const { return base::read_file(header(), 1 << 20).value(); }

    inline static const model::ResourceId mount{model::Kind::mount, {"vault"}};
    inline static const model::ResourceId session{model::Kind::session, {"vault"}};
    testing::TemporaryDirectory home_;
    std::map<std::string, std::string> words_{
        {"alice", "alice's word"}, {"bob", "bob's word"}, {"carol", "carol's word"}};  // as the directory has them
    bool directory_is_down_ = false;
    bool detached_ = false;                  // the vault's disk comes by a session
    mutable std::vector<std::string> told_;  // of headers, reading by reading; empty: without the plugin
    mutable int carried_out_ = 0;
    std::function<void()> while_logging_in_;
    mutable testing::MemoryWorld world_;  // one volume, mounted while the safe is open
};

TEST_F(PeoplesCommands, ALockIsKeptAndShownAndASecondOneDoesNotReplaceIt) {
    const Said locked = safectl({"lock", "--reason", "odd logins"});
    EXPECT_EQ(locked.code, 0) << locked.err;
    EXPECT_THAT(locked.out, HasSubstr("safe atlas is locked"));
    EXPECT_EQ(safectl({"lock", "--reason", "another"}).code, 0);
    EXPECT_EQ(kept().lock->reason, "odd logins");
    const Said status = safectl({"status", "--format", "json"});
    const auto json = nlohmann::json::parse(status.out);
    EXPECT_EQ(json["mode"], "locked");
    EXPECT_EQ(json["lock"]["reason"], "odd logins");
    EXPECT_THAT(safectl({"status"}).out, HasSubstr("locked by root"));
}

TEST_F(PeoplesCommands, AReasonIsOneLineOfWords) {
    for (const std::string& reason : {std::string("a\x1b[2J"), std::string("a\nb"), std::string(501, 'a')})
        EXPECT_EQ(safectl({"lock", "--reason=" + reason}).code, 4) << reason;
    EXPECT_EQ(safectl({"lock", "--reason="}).code, 1) << "usage";
    EXPECT_FALSE(kept().lock);
}

TEST_F(PeoplesCommands, OnlyASuperUsersKeyUnlocks) {
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    EXPECT_EQ(safectl({"unlock", "--user", "bob"}, "bob's word").code, 4) << "no super-user";
    EXPECT_EQ(safectl({"unlock", "--user", "root"}, "bob's word").code, 4) << "being root is not being a member";
    EXPECT_EQ(safectl({"unlock", "--user", "alice"}, "bob's word").code, 4) << "another's key";
    EXPECT_TRUE(kept().lock);
    const Said unlocked = safectl({"unlock", "--user", "alice"}, "alice's word");
    EXPECT_EQ(unlocked.code, 0) << unlocked.err;
    EXPECT_FALSE(kept().lock);
    const auto json = nlohmann::json::parse(safectl({"status", "--format", "json"}).out);
    EXPECT_EQ(json["mode"], "closed");
    EXPECT_EQ(json["logins_held"], true);
    EXPECT_THAT(safectl({"unlock", "--user", "alice"}, "alice's word").out, HasSubstr("no lock to lift"));
}

TEST_F(PeoplesCommands, WrongPasswordsMakeTheNextWaitAndNothingIsSaidOfThem) {
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    for (int i = 0; i < 4; ++i)
        EXPECT_THAT(safectl({"unlock", "--user", "alice"}, "hunter2").err, HasSubstr("wrong")) << i;
    const Said waits = safectl({"unlock", "--user", "alice"}, "alice's word");
    EXPECT_EQ(waits.code, 4) << "the right one must wait too";
    EXPECT_THAT(waits.err, HasSubstr("try again in"));
    EXPECT_TRUE(kept().lock);
    std::ifstream store(state() / "intent.db", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(store), {}};
    EXPECT_THAT(bytes, Not(HasSubstr("hunter2")));
    EXPECT_THAT(bytes, HasSubstr("alice"));
}

TEST_F(PeoplesCommands, ATaskIsAddedByItsOwnerAndCancelledByThemOrASuperUser) {
    EXPECT_EQ(safectl({"task", "add", "backup", "--for", "6h", "--user", "bob"}, "carol's word").code, 4);
    EXPECT_TRUE(kept().tasks.empty());
    const Said added = safectl({"task", "add", "backup", "--for", "6h", "--user", "bob"}, "bob's word");
    EXPECT_EQ(added.code, 0) << added.err;
    EXPECT_THAT(safectl({"task", "list"}).out, HasSubstr("backup"));
    const auto json = nlohmann::json::parse(safectl({"task", "list", "--format", "json"}).out);
    EXPECT_EQ(json["tasks"][0]["owner"], "bob");
    EXPECT_EQ(nlohmann::json::parse(safectl({"status", "--format", "json"}).out)["mode"], "open");
    EXPECT_EQ(safectl({"task", "cancel", "backup", "--user", "carol"}, "carol's word").code, 4);
    EXPECT_EQ(kept().tasks.size(), 1U);
    EXPECT_EQ(safectl({"task", "cancel", "backup", "--user", "alice"}, "alice's word").code, 0);
    EXPECT_TRUE(kept().tasks.empty());
    for (const char* wrong : {"8d", "10s", "soon"})
        EXPECT_NE(safectl({"task", "add", "long", "--for", wrong, "--user", "bob"}, "bob's word").code, 0) << wrong;
    EXPECT_TRUE(kept().tasks.empty());
}

TEST_F(PeoplesCommands, WhoOpensIsInsideAndWhoClosesSendsEverybodyOut) {
    EXPECT_EQ(mode(), "closed");
    const Said opened = safectl({"open", "--user", "bob", "--for", "2h"}, "bob's word");
    EXPECT_EQ(opened.code, 0) << opened.err << opened.out;
    EXPECT_TRUE(is_mounted());
    EXPECT_EQ(mode(), "open");
    EXPECT_THAT(safectl({"status"}).out, HasSubstr("bob is inside"));
    EXPECT_EQ(safectl({"open", "--user", "carol"}, "carol's word").code, 0) << "a second one joins";
    EXPECT_EQ(kept().sessions.size(), 2U);
    EXPECT_EQ(safectl({"plan", "--exit-code"}).code, 0) << "what is in effect is what is planned";

    const Said closed = safectl({"close"});
    EXPECT_EQ(closed.code, 0) << closed.err;
    EXPECT_FALSE(is_mounted());
    EXPECT_EQ(mode(), "closed");
    EXPECT_TRUE(kept().sessions.empty());
}

TEST_F(PeoplesCommands, AfterACloseOnlyAPersonsWordOpensAgain) {
    ASSERT_EQ(safectl({"close"}).code, 0);
    const Said held = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(held.code, 4);
    EXPECT_THAT(held.err, HasSubstr("--now"));
    EXPECT_FALSE(is_mounted());
    EXPECT_EQ(safectl({"open", "--user", "bob", "--now"}, "bob's word").code, 0);
    EXPECT_TRUE(is_mounted());
}

TEST_F(PeoplesCommands, NobodyGetsInWithoutTheirOwnKey) {
    EXPECT_EQ(safectl({"open"}).code, 4) << "nobody's";
    EXPECT_EQ(safectl({"open", "--user", "mallory"}, "bob's word").code, 4) << "not of the spec";
    const Said wrong = safectl({"open", "--user", "bob"}, "carol's word");
    EXPECT_EQ(wrong.code, 4);
    EXPECT_THAT(wrong.err, HasSubstr("wrong"));
    // While somebody else is inside and everything is open already, a wrong password gets nobody in either.
    ASSERT_EQ(safectl({"open", "--user", "carol"}, "carol's word").code, 0);
    EXPECT_EQ(safectl({"open", "--user", "bob"}, "carol's word").code, 4);
    EXPECT_EQ(kept().sessions.size(), 1U);
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    EXPECT_EQ(safectl({"open", "--user", "bob", "--now"}, "bob's word").code, 4) << "locked";
    EXPECT_EQ(safectl({"apply", "--mode", "open", "--yes"}).code, 4) << "locked";
    EXPECT_FALSE(is_mounted());
}

TEST_F(PeoplesCommands, TheDirectoryMustTakeThePasswordTooUnlessItCannotBeAsked) {
    words_["bob"] = "bob's next word";
    const Said replaced = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(replaced.code, 4);
    EXPECT_THAT(replaced.err, HasSubstr("it was replaced"));
    EXPECT_FALSE(is_mounted());
    directory_is_down_ = true;
    EXPECT_EQ(safectl({"open", "--user", "bob"}, "bob's word").code, 0) << "the vault's verdict is the final one";
}

TEST_F(PeoplesCommands, WhatDoesNotOpenIsClosedAgainAndNobodyStaysInside) {
    world_.failing.insert(mount);
    const Said failed = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(failed.code, 1);
    EXPECT_THAT(failed.out, HasSubstr("being closed again"));
    EXPECT_TRUE(kept().sessions.empty());
    EXPECT_EQ(mode(), "closed") << "without linger";
    EXPECT_FALSE(kept().hold) << "it may be tried again at once";
}

TEST_F(PeoplesCommands, ALockOrACloseWhileSomebodyLogsInWins) {
    while_logging_in_ = [this] {
        EXPECT_TRUE(applying::LockFile::take(state() / "lock")) << "nobody at a prompt holds up who closes or locks";
        EXPECT_TRUE(intent::Store::open(state())->lock({"root", "odd logins", {}}));
    };
    const Said locked = safectl({"open", "--user", "bob", "--now"}, "bob's word");
    EXPECT_EQ(locked.code, 4);
    EXPECT_FALSE(is_mounted());
    EXPECT_TRUE(kept().sessions.empty());
    while_logging_in_ = nullptr;
    ASSERT_EQ(safectl({"unlock", "--user", "alice"}, "alice's word").code, 0);
    EXPECT_EQ(safectl({"open", "--user", "bob"}, "bob's word").code, 4) << "held";
}

TEST_F(PeoplesCommands, ALockWhileTheSafeOpensWins) {
    world_.on_apply = [this](const model::Step& step) {
        if (step.action != model::Action::add) return;
        EXPECT_TRUE(intent::Store::open(state())->lock({"root", "odd logins", {}}));
    };
    const Said opened = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(opened.code, 1) << opened.out;
    EXPECT_THAT(opened.out, HasSubstr("locked by root"));
    EXPECT_FALSE(is_mounted());
    EXPECT_TRUE(kept().sessions.empty());
    EXPECT_EQ(mode(), "locked");
}

TEST_F(PeoplesCommands, OneWhoseOpeningFailsPutsNobodyElseOut) {
    ASSERT_EQ(safectl({"open", "--user", "carol"}, "carol's word").code, 0);
    world_.things.clear();  // somebody meddled
    world_.failing.insert(mount);
    const Said failed = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(failed.code, 1);
    EXPECT_THAT(failed.out, Not(HasSubstr("being closed again")));
    ASSERT_EQ(kept().sessions.size(), 1U);
    EXPECT_EQ(kept().sessions[0].user, "carol");
    EXPECT_EQ(mode(), "open");
}

TEST_F(PeoplesCommands, ATaskKeepsItOpenUntilSomebodySaysOtherwise) {
    ASSERT_EQ(safectl({"task", "add", "backup", "--for", "6h", "--user", "bob"}, "bob's word").code, 0);
    ASSERT_EQ(safectl({"open", "--user", "bob"}, "bob's word").code, 0);
    const Said refused = safectl({"close"});
    EXPECT_EQ(refused.code, 4);
    EXPECT_THAT(refused.err, HasSubstr("backup"));
    EXPECT_TRUE(is_mounted());
    EXPECT_EQ(kept().sessions.size(), 1U) << "nothing was touched";
    EXPECT_EQ(safectl({"close", "--cancel-tasks"}).code, 0);
    EXPECT_FALSE(is_mounted());
    EXPECT_TRUE(kept().tasks.empty());
}

TEST_F(PeoplesCommands, AFileThatSaysOpenIsNotClosedByWord) {
    std::ofstream(home_.path() / "safe.yaml", std::ios::app) << "mode: open\n";
    const Said refused = safectl({"close"});
    EXPECT_EQ(refused.code, 4);
    EXPECT_THAT(refused.err, HasSubstr("mode: open"));
}

TEST_F(PeoplesCommands, TheFirstKeyOfAVaultThatIsNotMadeYetCannotBeTried) {
    fs::remove(header());
    EXPECT_EQ(safectl({"open", "--user", "alice"}, "whatever alice likes").code, 0);
    EXPECT_EQ(kept().sessions.size(), 1U);
}

TEST_F(PeoplesCommands, WithoutAHeaderNothingIsProvedAndNothingCounts) {
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    fs::remove(header());
    for (int i = 0; i < 6; ++i) EXPECT_NE(safectl({"unlock", "--user", "alice"}, "alice's word").code, 0);
    EXPECT_TRUE(kept().lock);
    EXPECT_EQ(intent::Store::open(state())->wrong_passwords("alice", "local")->count, 0U);
}

TEST_F(PeoplesCommands, AStoreThatCannotBeReadIsNoModeAtAll) {
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    std::ofstream(state() / "intent.db") << "this is no database";
    for (const auto& arguments : std::vector<std::vector<std::string>>{{"status"}, {"task", "list"}}) {
        const Said said = safectl(arguments);
        EXPECT_NE(said.code, 0);
        EXPECT_EQ(said.out, "");
        EXPECT_THAT(said.err, HasSubstr("from a backup"));
    }
    EXPECT_NE(safectl({"unlock", "--user", "alice"}, "alice's word").code, 0);
}

TEST_F(PeoplesCommands, WithoutAPluginForHeadersEveryCommandOnThemIsRefusedAndMakesNothing) {
    for (const auto& arguments : std::vector<std::vector<std::string>>{{"header", "list", "vault"},
                                                                       {"header", "accept", "vault", "--user", "alice"},
                                                                       {"header", "restore", "vault"},
                                                                       {"header", "backup", "vault", "--out", "x"}}) {
        const Said said = safectl(arguments);
        EXPECT_EQ(said.code, 4);
        EXPECT_THAT(said.err, HasSubstr("without the plugin"));
    }
    EXPECT_EQ(safectl({"header"}).code, 1) << "usage";
    EXPECT_FALSE(fs::exists(home_.path() / "state"));
}

TEST_F(PeoplesCommands, AHeaderThatChangesAfterItWasShownIsVouchedForByNobody) {
    told_ = {"sequence 5", "sequence 7", "sequence 7"};
    const Said changed = safectl({"header", "accept", "vault", "--user", "alice"}, "alice's word");
    EXPECT_EQ(changed.code, 4);
    EXPECT_THAT(changed.out, HasSubstr("sequence 5"));
    EXPECT_THAT(changed.err, HasSubstr("changed since it was shown"));
    EXPECT_NE(safectl({"header", "accept", "vault", "--user", "alice"}, "a wrong word").code, 0);
    EXPECT_NE(safectl({"header", "accept", "vault"}, "alice's word").code, 0) << "whose?";
    EXPECT_EQ(carried_out_, 0);
    EXPECT_EQ(safectl({"header", "accept", "vault", "--user", "bob"}, "bob's word").code, 0);
    EXPECT_EQ(carried_out_, 1);
}

TEST_F(PeoplesCommands, LookingMakesNothing) {
    EXPECT_EQ(safectl({"status"}).code, 0);
    EXPECT_EQ(safectl({"task", "list"}).code, 0);
    EXPECT_FALSE(fs::exists(home_.path() / "state"));
}

TEST_F(PeoplesCommands, MemoryIsOnlyGivenUpWhenSomebodySaysSo) {
    fs::create_directories(state());
    EXPECT_EQ(safectl({"discard-state", "desk"}).code, 4);
    const Said done = safectl({"discard-state", "desk", "--yes"});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_THAT(done.out, HasSubstr("desk is discarded"));
}

TEST_F(PeoplesCommands, AClosedVaultsDiskIsAttachedForAsLongAsItsHeaderIsChanged) {
    detach();
    const std::string before = header_text();
    std::vector<std::string> seen;  // the header, at each step
    world_.on_apply = [&](const model::Step&) { seen.push_back(header_text()); };
    for (const auto& [arguments, words] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"user", "passwd", "bob"}, "bob's word\nbob's new word"}, {{"user", "revoke", "carol", "--yes"}, ""}}) {
        seen.clear();
        world_.log.clear();
        const std::string was = header_text();
        const Said said = safectl(arguments, words);
        EXPECT_EQ(said.code, 0) << said.err;
        EXPECT_THAT(world_.log, ::testing::ElementsAre("add session/vault", "remove session/vault"));
        EXPECT_THAT(seen, ::testing::ElementsAre(was, header_text())) << "written while it was there";
        EXPECT_NE(was, header_text());
        EXPECT_TRUE(world_.things.empty());
    }
    EXPECT_THAT(base::read_file(state() / "journal.jsonl", 1 << 20).value(), HasSubstr("session/vault"));
    EXPECT_NE(before, header_text());
}

TEST_F(PeoplesCommands, AWrongPasswordLeavesTheDiskAwayAndTheHeaderAsItWas) {
    detach();
    const std::string before = header_text();
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "not it\nnew").code, 4);
    EXPECT_TRUE(world_.things.empty());
    EXPECT_EQ(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatCannotBeHadIsSaidAndNothingIsDone) {
    detach();
    const std::string before = header_text();
    world_.failing.insert(session);
    const Said said = safectl({"user", "passwd", "bob"}, "bob's word\nnew");
    EXPECT_EQ(said.code, 1);
    EXPECT_THAT(said.err, HasSubstr("session/vault"));
    world_.failing.clear();
    world_.unreadable[session] = {"look at", "session/vault", "the initiator is silent"};
    EXPECT_THAT(safectl({"user", "passwd", "bob"}, "bob's word\nnew").err, HasSubstr("the initiator is silent"));
    world_.unreadable.clear();
    world_.foreign.insert(session);
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "bob's word\nnew").code, 4);
    EXPECT_EQ(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatCannotBeGivenBackIsSaidAndTheChangeStands) {
    detach();
    const std::string before = header_text();
    world_.on_apply = [&](const model::Step& step) {
        if (step.action == model::Action::remove) world_.failing.insert(session);
    };
    const Said said = safectl({"user", "passwd", "bob"}, "bob's word\nbob's new word");
    EXPECT_EQ(said.code, 1);
    EXPECT_THAT(said.err, HasSubstr("the change itself is made"));
    EXPECT_NE(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatIsThereStaysThere) {
    detach();
    world_.things[session] = {};
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "bob's word\nbob's new word").code, 0);
    EXPECT_TRUE(world_.log.empty());
    EXPECT_TRUE(world_.things.contains(session));
}

}  // namespace
}  // namespace safe::cli
