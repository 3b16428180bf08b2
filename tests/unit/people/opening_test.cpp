// safectl open and close: who gets in, what keeps the safe open, and who wins when several want different things.
#include <csignal>
#include <thread>

#include "tests/support/file_limit.hpp"
#include "tests/unit/people/peoples_commands.hpp"

namespace safe::cli {
namespace {

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

TEST_F(PeoplesCommands, WhoGivesTheFirstKeyIsToldWhatIsStillMissing) {
    EXPECT_THAT(safectl({"open", "--user", "alice"}, "alice's word").out, Not(HasSubstr("enrol")));
    ASSERT_EQ(safectl({"close"}).code, 0);
    fs::remove(header());
    const Said opened = safectl({"open", "--user", "alice", "--now"}, "alice's word");
    EXPECT_EQ(opened.code, 0) << opened.err;
    EXPECT_THAT(opened.out, HasSubstr("`safectl user enrol alice`"));
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

TEST_F(PeoplesCommands, WhatDoesNotOpenIsClosedAgainAlthoughTheDiskIsFullByThen) {
    detach();
    std::optional<testing::FileLimit> full;
    world_.failing.insert(mount);
    world_.on_apply = [&](const model::Step& step) {
        if (step.resource == mount) full.emplace(4096);
    };
    const Said failed = safectl({"open", "--user", "bob"}, "bob's word");
    full.reset();
    EXPECT_EQ(failed.code, 1);
    EXPECT_THAT(failed.out, HasSubstr("being closed again"));
    EXPECT_THAT(failed.err, HasSubstr("intent.db")) << "they are inside still, by what is kept";
    EXPECT_THAT(world_.log, ::testing::Contains("add session/vault"));
    EXPECT_TRUE(world_.things.empty());

    // With somebody else inside it stays open.
    ASSERT_EQ(safectl({"close"}).code, 0);
    world_.on_apply = nullptr;
    world_.failing.clear();
    ASSERT_EQ(safectl({"open", "--user", "carol", "--now"}, "carol's word").code, 0);
    world_.things.erase(mount);
    world_.failing.insert(mount);
    world_.on_apply = [&](const model::Step&) { full.emplace(4096); };
    EXPECT_EQ(safectl({"open", "--user", "bob", "--now"}, "bob's word").code, 1);
    full.reset();
    EXPECT_TRUE(world_.things.contains(session));
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

TEST_F(PeoplesCommands, AnInterruptedOpeningIsClosedAgainAndNobodyStaysInside) {
    detach();
    static_cast<void>(::signal(SIGHUP, SIG_DFL));  // another test of this process may have closed
    const std::vector<std::vector<int>> orders{{SIGINT},         {SIGTERM},         {SIGHUP},
                                               {SIGHUP, SIGHUP}, {SIGTERM, SIGHUP}, {SIGHUP, SIGTERM}};
    for (const std::vector<int>& signals : orders) {
        world_.lasts = [&](const model::Step& step) {
            if (step.resource != session || step.action != model::Action::add) return false;
            for (const int signal : signals) {
                ::kill(::getpid(), signal);
                std::this_thread::sleep_for(std::chrono::milliseconds(20));  // two, and not one twice
            }
            return true;
        };
        const Said interrupted = safectl({"open", "--user", "bob"}, "bob's word");
        EXPECT_EQ(interrupted.code, 130);
        EXPECT_THAT(interrupted.out, HasSubstr("interrupted: the safe is being closed again"));
        EXPECT_TRUE(world_.things.empty());
        EXPECT_TRUE(kept().sessions.empty());
        EXPECT_EQ(mode(), "closed") << "without linger";
        EXPECT_FALSE(kept().hold) << "it may be tried again at once";
    }
}

TEST_F(PeoplesCommands, WhoInterruptsTwiceLeavesItAsItIsAndIsToldSo) {
    detach();
    world_.lasts = [](const model::Step& step) { return step.resource == session && ::kill(::getpid(), SIGTERM) == 0; };
    world_.on_apply = [this](const model::Step& step) {
        if (step.resource == session && step.action == model::Action::remove) world_.failing.insert(session);
    };
    const Said interrupted = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(interrupted.code, 130);
    EXPECT_THAT(interrupted.err, HasSubstr("close safe atlas again: interrupted"));
    EXPECT_THAT(interrupted.err, HasSubstr("safectl close"));
    EXPECT_TRUE(world_.things.contains(session));
    EXPECT_TRUE(kept().sessions.empty());
    EXPECT_EQ(mode(), "closed") << "the next run closes it";
}

TEST_F(PeoplesCommands, AnInterruptedOpeningPutsNobodyElseOut) {
    detach();
    ASSERT_EQ(safectl({"open", "--user", "carol"}, "carol's word").code, 0);
    world_.things.clear();  // somebody meddled
    world_.lasts = [](const model::Step& step) { return step.resource == session && ::kill(::getpid(), SIGTERM) == 0; };
    const Said interrupted = safectl({"open", "--user", "bob"}, "bob's word");
    EXPECT_EQ(interrupted.code, 130);
    EXPECT_THAT(interrupted.out, Not(HasSubstr("being closed again")));
    ASSERT_EQ(kept().sessions.size(), 1U);
    EXPECT_EQ(kept().sessions[0].user, "carol");
    EXPECT_TRUE(world_.things.contains(session));
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
    append_to_spec("mode: open");
    const Said refused = safectl({"close"});
    EXPECT_EQ(refused.code, 4);
    EXPECT_THAT(refused.err, HasSubstr("mode: open"));
}

TEST_F(PeoplesCommands, AModeThatIsAskedForAsAutoFollowsPeople) {
    append_to_spec("mode: closed");
    EXPECT_EQ(safectl({"plan", "--mode", "auto", "--exit-code"}).code, 0) << "nobody is inside";
    fs::create_directories(state());
    ASSERT_TRUE(intent::Store::open(state())->begin_local("bob", std::chrono::hours(2), *intent::SystemClock().now()));
    EXPECT_EQ(safectl({"apply", "--mode", "auto", "--yes"}).code, 0);
    EXPECT_TRUE(is_mounted()) << "bob is";
    EXPECT_EQ(safectl({"plan", "--mode", "auto", "--exit-code"}).code, 0);
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    EXPECT_EQ(safectl({"apply", "--mode", "auto", "--yes"}).code, 0) << "as if the spec said so";
    EXPECT_EQ(safectl({"apply", "--mode", "open", "--yes"}).code, 4);
    EXPECT_FALSE(is_mounted());
}

TEST_F(PeoplesCommands, WhoHasSentEverybodyOutAndCannotCloseDoesNotSayThatNothingWasTouched) {
    append_to_spec("deadlines: { close: 1s, lock: 1s }");
    ASSERT_EQ(safectl({"open", "--user", "bob"}, "bob's word").code, 0);
    const auto another_run = applying::LockFile::take(state() / "lock");
    ASSERT_TRUE(another_run);
    const Said closed = safectl({"close"});
    EXPECT_EQ(closed.code, 1);
    EXPECT_THAT(closed.err, HasSubstr("everybody is out"));
    EXPECT_TRUE(kept().sessions.empty());
    const Said locked = safectl({"lock", "--reason", "odd logins"});
    EXPECT_EQ(locked.code, 1);
    EXPECT_THAT(locked.err, HasSubstr("`safectl apply --mode locked`"));
    EXPECT_TRUE(kept().lock);
    const Said unlocked = safectl({"unlock", "--user", "alice"}, "alice's word");
    EXPECT_EQ(unlocked.code, 1);
    EXPECT_THAT(unlocked.err, HasSubstr("is unlocked"));
    EXPECT_FALSE(kept().lock);
    EXPECT_TRUE(is_mounted());
}

TEST_F(PeoplesCommands, ALockThatCannotBeKeptIsNoRefusalOnceItIsClosed) {
    ASSERT_EQ(safectl({"open", "--user", "bob"}, "bob's word").code, 0);
    fs::remove(state() / "intent.db");  // and it is known that there was one
    const Said locked = safectl({"lock", "--reason", "odd logins"});
    EXPECT_EQ(locked.code, 1);
    EXPECT_THAT(locked.err, HasSubstr("gone missing"));
    EXPECT_FALSE(is_mounted());
}

TEST_F(PeoplesCommands, AnUnlockingWhoseRestIsRefusedIsNoRefusal) {
    ASSERT_EQ(safectl({"lock", "--reason", "why"}).code, 0);
    refusals_ = {{"image", {"use", "image", "without the plugin", "", base::Error::Kind::refused}}};
    EXPECT_EQ(safectl({"unlock", "--user", "alice"}, "alice's word").code, 1);
    EXPECT_FALSE(kept().lock);
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

}  // namespace
}  // namespace safe::cli
