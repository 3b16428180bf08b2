// safectl lock, unlock, task, status, header and discard-state: who must prove what, what is kept, and what is said.
#include "tests/unit/people/peoples_commands.hpp"

namespace safe::cli {
namespace {

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

TEST_F(PeoplesCommands, StatusShowsVolumesThatLeftTheFileForTheyMayBeOpen) {
    while_open_.push_back({.id = session});
    world_.things[model::make_id(model::Kind::mount, "old")] = {};
    world_.things[model::make_id(model::Kind::mapping, "older")] = {};
    const model::ResourceId unseen = model::make_id(model::Kind::mapping, "oldest");
    world_.things[unseen] = {};
    world_.unreadable[unseen] = {"look at", "oldest", "no answer"};
    const nlohmann::json expected{{"vault", "closed"},
                                  {"old", "left out of the file: mounted"},
                                  {"older", "left out of the file: unlocked, not mounted"},
                                  {"oldest", "left out of the file: unknown: no answer"}};
    EXPECT_EQ(nlohmann::json::parse(safectl({"status", "--format", "json"}).out)["volumes"], expected);
    EXPECT_THAT(safectl({"status"}).out, HasSubstr("left out of the file: mounted"));
}

TEST_F(PeoplesCommands, StatusIsNotDoneWhereVolumesCannotBeListed) {
    const auto unknown = [&] {
        return nlohmann::json::parse(safectl({"status", "--format", "json"}).out)["unknown"].get<int>();
    };
    EXPECT_EQ(unknown(), 0);
    EXPECT_THAT(safectl({"status"}).out, HasSubstr("nothing left to do"));
    world_.unlisted = {"list", "what is mounted", "no /proc", "mount it"};
    EXPECT_EQ(unknown(), 1);
    EXPECT_THAT(safectl({"status"}).out, Not(HasSubstr("nothing left to do")));
}

TEST_F(PeoplesCommands, AReasonIsOneLineOfWords) {
    for (const std::string& reason : {std::string("a\x1b[2J"), std::string("a\nb"), std::string(501, 'a'),
                                      std::string("caf\xe9"), std::string("\u202Ereversed")})
        EXPECT_EQ(safectl({"lock", "--reason=" + reason}).code, 4) << reason;
    EXPECT_EQ(safectl({"lock", "--reason="}).code, 1) << "usage";
    EXPECT_FALSE(kept().lock);
}

TEST_F(PeoplesCommands, AReasonThatIsNoTextButWasKeptIsShownAllTheSame) {
    fs::create_directories(state());
    ASSERT_TRUE(intent::Store::open(state())->lock({"root", "caf\xe9", {}}));
    const auto json = nlohmann::json::parse(safectl({"status", "--format", "json"}).out);
    EXPECT_EQ(json["lock"]["reason"], "caf\uFFFD");
}

TEST_F(PeoplesCommands, EveryAnswerInJsonIsOneDocumentThatSaysItsKind) {
    told_ = {"sequence 5"};
    for (const auto& [arguments, words, kind] :
         std::vector<std::tuple<std::vector<std::string>, std::string, std::string>>{
             {{"plan"}, "", "plan"},
             {{"apply", "--yes"}, "", "report"},
             {{"open", "--user", "bob"}, "bob's word", "report"},
             {{"status"}, "", "status"},
             {{"task", "add", "backup", "--for", "6h", "--user", "bob"}, "bob's word", "done"},
             {{"task", "list"}, "", "tasks"},
             {{"task", "cancel", "backup", "--user", "bob"}, "bob's word", "done"},
             {{"user", "list"}, "", "users"},
             {{"user", "passwd", "bob"}, "bob's word\nbob's new word", "done"},
             {{"user", "revoke", "carol", "--yes"}, "", "done"},
             {{"header", "list", "vault"}, "", "headers"},
             {{"header", "accept", "vault", "--user", "alice"}, "alice's word", "done"},
             {{"discard-state", "desk", "--yes"}, "", "done"},
             {{"close"}, "", "report"},
             {{"lock", "--reason", "why"}, "", "report"},
             {{"unlock", "--user", "alice"}, "alice's word", "report"},
             {{"unlock", "--user", "alice"}, "alice's word", "done"}}) {
        std::vector<std::string> in_json = arguments;
        in_json.insert(in_json.end(), {"--format", "json"});
        const Said said = safectl(in_json, words);
        const auto document = nlohmann::json::parse(said.out, nullptr, false);
        ASSERT_TRUE(document.is_object()) << arguments.front() << ": " << said.out << said.err;
        EXPECT_EQ(document.value("version", 0), 1) << said.out;
        EXPECT_EQ(document.value("kind", ""), kind) << said.out;
        std::istringstream lines(said.err);
        for (std::string line; std::getline(lines, line);)
            EXPECT_TRUE(nlohmann::json::accept(line)) << arguments.front() << ": " << line;
    }
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

TEST_F(PeoplesCommands, UnlockingLiftsTheLockThatItsUserHasSeenAndNoOther) {
    ASSERT_EQ(safectl({"lock", "--reason", "first"}).code, 0);
    while_logging_in_ = [this] {
        intent::Store store = *intent::Store::open(state());
        const intent::Now now = *intent::SystemClock().now();
        EXPECT_TRUE(store.unlock(*kept().lock, now));
        EXPECT_TRUE(store.lock({"root", "second", now.wall}));
    };
    const Said again = safectl({"unlock", "--user", "alice"}, "alice's word");
    EXPECT_EQ(again.code, 4);
    EXPECT_THAT(again.err, HasSubstr("another one holds: that of root (second)"));
    ASSERT_TRUE(kept().lock);
    EXPECT_EQ(kept().lock->reason, "second");

    // Lifted by somebody else, and people are inside already: they stay.
    while_logging_in_ = [this] {
        intent::Store store = *intent::Store::open(state());
        EXPECT_TRUE(store.unlock(*kept().lock, *intent::SystemClock().now()));
        EXPECT_TRUE(store.begin_local("carol", std::chrono::hours(1), *intent::SystemClock().now()));
    };
    const Said late = safectl({"unlock", "--user", "alice"}, "alice's word");
    EXPECT_EQ(late.code, 4);
    EXPECT_THAT(late.err, HasSubstr("somebody has lifted it"));
    EXPECT_EQ(kept().sessions.size(), 1U);
}

TEST_F(PeoplesCommands, WhoSatAtAPromptIsNotLetGoByAFileThatIsNoMore) {
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    while_logging_in_ = [this] { append_to_spec("# and something else"); };
    const auto is_refused = [&](const std::vector<std::string>& arguments, const std::string& words) {
        const Said said = safectl(arguments, words);
        EXPECT_EQ(said.code, 4) << arguments[0] << said.out;
        EXPECT_THAT(said.err, HasSubstr("it was changed meanwhile")) << arguments[0];
    };
    is_refused({"unlock", "--user", "alice"}, "alice's word");
    EXPECT_TRUE(kept().lock);
    while_logging_in_ = nullptr;
    ASSERT_EQ(safectl({"unlock", "--user", "alice"}, "alice's word").code, 0);
    while_logging_in_ = [this] { append_to_spec("mode: locked"); };
    is_refused({"open", "--user", "bob", "--now"}, "bob's word");
    EXPECT_TRUE(kept().sessions.empty());
    while_logging_in_ = [this] { append_to_spec("# and something else"); };
    is_refused({"task", "add", "backup", "--for", "6h", "--user", "bob"}, "bob's word");
    EXPECT_TRUE(kept().tasks.empty());
    const std::string before = header_text();
    is_refused({"user", "passwd", "bob"}, "bob's word\nbob's new word");
    is_refused({"user", "revoke", "carol", "--yes"}, "");
    EXPECT_EQ(header_text(), before);
    while_logging_in_ = [this] { append_to_spec("nonsense"); };
    is_refused({"user", "revoke", "carol", "--yes"}, "");
    EXPECT_EQ(header_text(), before);
}

TEST_F(PeoplesCommands, WhatAChangeOfPasswordLeftIsFinishedByApplyAndByOpen) {
    const auto key = [](const std::string& user, const std::string& word) {
        return std::move(members::derive_keys(secret(word), test::FileVault::derivation(), user)->luks);
    };
    const auto bobs = [&] {
        const auto keyslots = test::FileVault(header()).read()->keyslots;
        return std::ranges::count(keyslots, "bob", &members::Keyslot::user);
    };
    const std::vector<std::pair<std::vector<std::string>, std::string>> commands{
        {{"apply", "--yes"}, ""}, {{"open", "--user", "bob"}, "bob's word"}};
    for (const auto& [arguments, word] : commands) {
        const base::Secret alices = key("alice", "alice's word");
        ASSERT_TRUE(
            test::FileVault(header()).add("bob", 2, key("bob", "lost"), {members::Keyslot{"alice", 1, 0}, alices}));
        directory_is_down_ = true;
        const Said half = safectl(arguments, word);
        EXPECT_EQ(half.code, 0) << "it keeps nobody from anything";
        EXPECT_THAT(half.err, HasSubstr("it is down"));
        EXPECT_EQ(bobs(), 2);
        directory_is_down_ = false;
        EXPECT_EQ(safectl(arguments, word).code, 0);
        EXPECT_EQ(bobs(), 1);
    }
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

TEST_F(PeoplesCommands, WhoLeavesTheFileOrIsRevokedIsOutAndTheirTasksEnd) {
    for (const bool by_file : {true, false}) {
        SCOPED_TRACE(by_file ? "left the file" : "revoked");
        std::ofstream(home_.path() / "safe.yaml") << spec;
        ASSERT_EQ(safectl({"open", "--now", "--user", "carol"}, "carol's word").code, 0);
        ASSERT_EQ(safectl({"task", "add", "backup", "--for", "6h", "--user", "carol"}, "carol's word").code, 0);
        EXPECT_EQ(mode(), "open");
        if (by_file)
            std::ofstream(home_.path() / "safe.yaml")
                << std::string(spec).erase(std::string_view(spec).find("  carol"));
        else
            ASSERT_EQ(safectl({"user", "revoke", "carol", "--yes"}).code, 0);
        EXPECT_EQ(mode(), "closed");
        EXPECT_THAT(safectl({"task", "list"}).out, Not(HasSubstr("backup")));
        EXPECT_EQ(safectl({"close"}).code, 0) << "no task is in the way";
        EXPECT_FALSE(is_mounted());
    }
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

}  // namespace
}  // namespace safe::cli
