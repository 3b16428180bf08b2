// What people want, kept: over time, over restarts, over kills, and what is not believed.
#include "reconciler/intent/store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <thread>

#include "reconciler/intent/effective_mode.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/intent/times.hpp"

namespace safe::intent {
namespace {

namespace fs = std::filesystem;
using model::Mode;
using test::at;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

class IntentStore : public ::testing::Test {
 protected:
    [[nodiscard]] fs::path file() const { return home_.path() / "intent.db"; }

    [[nodiscard]] Store store() const {
        base::Result<Store> opened = Store::open(home_.path());
        if (!opened) throw std::runtime_error(to_text(opened.error()));
        return std::move(*opened);
    }
    [[nodiscard]] Snapshot read() const {
        base::Result<Snapshot> snapshot = Store::read(home_.path());
        if (!snapshot) throw std::runtime_error(to_text(snapshot.error()));
        return std::move(*snapshot);
    }
    [[nodiscard]] Mode mode(const Now& now) const {
        specs::SafeSpec spec;
        spec.mode.value = specs::WantedMode::automatic;
        spec.linger.value.seconds = 30;
        return effective_mode(spec, read(), now).mode;
    }
    static void must(const base::Result<void>& done) { ASSERT_TRUE(done) << to_text(done.error()); }

    /// Neither way of asking answers.
    void unknown(const std::string& why) const {
        SCOPED_TRACE(why);
        const base::Result<Snapshot> snapshot = Store::read(home_.path());
        ASSERT_FALSE(snapshot) << "it is believed";
        EXPECT_THAT(snapshot.error().advice, HasSubstr("from a backup"));
        EXPECT_FALSE(Store::open(home_.path()));
    }
    [[nodiscard]] std::string bytes() const {
        std::ifstream in(file(), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::string& content) const { std::ofstream(file(), std::ios::binary) << content; }

    testing::TemporaryDirectory home_;
};

TEST_F(IntentStore, ReadingMakesNothing) {
    EXPECT_TRUE(read().sessions.empty());
    EXPECT_TRUE(fs::is_empty(home_.path()));
}

TEST_F(IntentStore, IsForItsOwnerAlone) {
    ::umask(0);
    must(store().lock({"root", "why", at(0s).wall}));
    EXPECT_EQ(fs::status(file()).permissions(), fs::perms(0600));
}

TEST_F(IntentStore, WhatWasSaidIsThereInAnotherProcess) {
    must(store().begin_local("alice", 8h, at(0s)));
    must(store().put_task({"backup", "bob", at(0s).wall, at(6h).wall}));
    must(store().lock({"alice", "it's \"odd\"; DROP TABLE session; --", at(1s).wall}));
    const Snapshot there = read();
    EXPECT_EQ(there.tasks, (std::vector<Task>{{"backup", "bob", at(0s).wall, at(6h).wall}}));
    EXPECT_EQ(there.lock, (Lock{"alice", "it's \"odd\"; DROP TABLE session; --", at(1s).wall}));
    EXPECT_TRUE(there.sessions.empty()) << "a lock ends them";
}

TEST_F(IntentStore, AGatewaysReportIsTheWholeOfIt) {
    Store store = this->store();
    must(store.report("gateway", {{"1", "alice"}, {"2", "bob"}}, at(0s)));
    must(store.report("other", {{"1", "carol"}}, at(5s)));
    must(store.report("gateway", {{"2", "bob"}, {"3", "bob"}}, at(10s)));
    const auto live = [&](const Now& now) {
        std::string names;
        for (const Session& session : read().sessions)
            if (is_live(session, now)) names += session.source + "/" + session.id + "/" + session.user + " ";
        return names;
    };
    EXPECT_EQ(live(at(10s)), "gateway/2/bob gateway/3/bob other/1/carol ");
    EXPECT_EQ(live(at(65s)), "gateway/2/bob gateway/3/bob ");
    EXPECT_EQ(live(at(70s)), "");
    EXPECT_EQ(mode(at(99s)), Mode::open) << "linger";
    EXPECT_EQ(mode(at(100s)), Mode::closed);
    EXPECT_EQ(live(at(10s, "next-boot")), "");
    EXPECT_EQ(mode(at(10s, "next-boot")), Mode::closed);
}

TEST_F(IntentStore, TheLastToLeaveLingersAndTheOthersDoNotMatter) {
    Store store = this->store();
    must(store.report("other", {{"1", "alice"}}, at(0s)));
    must(store.report("gateway", {{"1", "bob"}}, at(0s)));
    must(store.report("other", {}, at(10s)));
    EXPECT_EQ(mode(at(59s)), Mode::open);
    must(store.report("gateway", {}, at(50s)));
    EXPECT_EQ(mode(at(79s)), Mode::open);
    EXPECT_EQ(mode(at(80s)), Mode::closed);
    must(store.report("other", {}, at(100s)));
    EXPECT_EQ(mode(at(100s)), Mode::closed) << "who has left does not leave again";
}

TEST_F(IntentStore, WhoIsExpelledDoesNotLingerAndTheirTasksEnd) {
    Store store = this->store();
    must(store.begin_local("bob", 8h, at(0s)));
    must(store.report("gateway", {{"1", "bob"}}, at(0s)));
    must(store.put_task({"backup", "bob", at(0s).wall, at(6h).wall}));
    must(store.put_task({"build", "alice", at(0s).wall, at(1h).wall}));
    must(store.expel("bob"));
    EXPECT_EQ(mode(at(10s)), Mode::open) << "alice's task runs";
    must(store.remove_task("build"));
    EXPECT_EQ(mode(at(10s)), Mode::closed);
}

TEST_F(IntentStore, ClosingIsAtOnceAndHoldsWhoeverIsStillConnected) {
    Store store = this->store();
    must(store.begin_local("alice", 8h, at(0s)));
    must(store.report("gateway", {{"1", "bob"}}, at(0s)));
    must(store.put_task({"backup", "bob", at(0s).wall, at(6h).wall}));
    must(store.close(false, at(10s)));
    EXPECT_EQ(read().tasks.size(), 1U);
    must(store.close(true, at(10s)));
    EXPECT_TRUE(read().tasks.empty());
    EXPECT_EQ(mode(at(10s)), Mode::closed);
    must(store.report("gateway", {{"1", "bob"}}, at(309s)));
    EXPECT_EQ(mode(at(309s)), Mode::closed) << "held";
    must(store.report("gateway", {{"1", "bob"}}, at(310s)));
    EXPECT_EQ(mode(at(310s)), Mode::open) << "the hold is over";
    EXPECT_TRUE(holds(*read().hold, at(309s)));
    EXPECT_FALSE(holds(*read().hold, at(20s, "next-boot")));
}

TEST_F(IntentStore, ATaskSurvivesARebootAndEndsByItself) {
    must(store().put_task({"backup", "bob", at(0s).wall, at(6h).wall}));
    EXPECT_EQ(mode(at(1h, "next-boot")), Mode::open);
    EXPECT_EQ(mode(at(6h)), Mode::closed);
    must(store().put_task({"backup", "bob", at(0s).wall, at(9h).wall}));
    EXPECT_EQ(mode(at(6h)), Mode::open) << "extended";
    EXPECT_EQ(mode(at(-1min)), Mode::open) << "a clock that is set right";
    EXPECT_EQ(mode(at(-24h * 365)), Mode::closed) << "a clock that has lost its battery brings no task back";
    must(store().remove_task("backup"));
    must(store().remove_task("backup"));
    EXPECT_EQ(mode(at(1h)), Mode::closed);
}

TEST_F(IntentStore, ALockStaysAsItIsAndUnlockingLeadsToClosed) {
    Store store = this->store();
    must(store.begin_local("alice", 8h, at(0s)));
    must(store.lock({"alice", "first", at(1s).wall}));
    must(store.lock({"bob", "second", at(2s).wall}));
    EXPECT_EQ(read().lock->reason, "first");
    must(store.report("gateway", {{"1", "alice"}}, at(3s)));  // a super-user who investigates
    EXPECT_EQ(mode(at(3s)), Mode::locked);
    EXPECT_FALSE(store.unlock({"bob", "second", at(2s).wall}, at(4s))) << "that is not the one that holds";
    EXPECT_EQ(mode(at(4s)), Mode::locked);
    must(store.unlock({"alice", "first", at(1s).wall}, at(4s)));
    EXPECT_FALSE(read().lock);
    EXPECT_EQ(mode(at(4s)), Mode::closed);
    must(store.report("gateway", {{"1", "alice"}}, at(5s)));
    EXPECT_EQ(mode(at(5s)), Mode::closed);
}

TEST_F(IntentStore, AnOpeningThatFailedLeavesWhoWasInsideAsTheyWere) {
    Store store = this->store();
    must(store.begin_local("alice", 8h, at(0s)));
    const Session former = read().sessions.front();
    must(store.begin_local("alice", 1h, at(60s)));
    must(store.void_local("alice", former));
    EXPECT_EQ(read().sessions, std::vector<Session>{former});
    must(store.begin_local("alice", 1h, at(70s)));
    must(store.close(false, at(80s)));
    must(store.void_local("alice", former));
    EXPECT_TRUE(read().sessions.empty()) << "she was sent out meanwhile";
}

TEST_F(IntentStore, TidyingForgetsOnlyWhatNobodyAsksAbout) {
    Store store = this->store();
    must(store.report("gateway", {{"1", "alice"}, {"2", "bob"}}, at(0s)));
    must(store.begin_local("carol", 1h, at(0s)));
    must(store.begin_local("dave", 8h, at(0s, "last-boot")));
    must(store.report("gateway", {{"1", "alice"}}, at(40s)));
    must(store.tidy(30s, at(69s)));
    EXPECT_EQ(read().sessions.size(), 3U) << "bob lingers";
    must(store.tidy(30s, at(71s)));
    EXPECT_EQ(read().sessions.size(), 2U);
    must(store.tidy(30s, at(131s)));
    EXPECT_EQ(read().sessions.size(), 1U) << "alice's lease has run out";
    must(store.tidy(30s, at(3700s)));
    EXPECT_TRUE(read().sessions.empty());
}

TEST_F(IntentStore, WrongPasswordsAreCountedForEachPair) {
    const WrongPasswords three{3, at(5s).wall};
    must(store().change_wrong_passwords("alice", "192.0.2.1", [&](const WrongPasswords& kept) {
        EXPECT_EQ(kept, WrongPasswords{});
        return three;
    }));
    EXPECT_EQ(*store().wrong_passwords("alice", "192.0.2.1"), three);
    EXPECT_EQ(*store().wrong_passwords("alice", "local"), WrongPasswords{});
    must(store().change_wrong_passwords("alice", "192.0.2.1", [&](const WrongPasswords& kept) {
        EXPECT_EQ(kept, three);
        return WrongPasswords{};
    }));
    EXPECT_EQ(store().wrong_passwords("alice", "192.0.2.1")->count, 0U);
}

TEST_F(IntentStore, WhatIsDamagedIsNeverAnEmptyOne) {
    must(store().lock({"alice", "why", at(0s).wall}));
    const std::string whole = bytes();
    write("");
    unknown("empty");
    write(std::string(whole.size(), '\0'));
    unknown("zeros");
    write("this is no database at all");
    unknown("text");
    for (std::size_t keep = 1; keep < whole.size() - 4096; keep += 4093) {
        write(whole.substr(0, keep));
        unknown("cut off at " + std::to_string(keep));
    }
    fs::remove(file());
    unknown("gone");
    fs::create_directory(file());
    EXPECT_FALSE(Store::read(home_.path()));
    fs::remove(file());
    write(whole);
    EXPECT_TRUE(read().lock) << "put back from a backup";
}

TEST_F(IntentStore, ABrokenPageIsAnErrorOrLeavesTheAnswerAsItWas) {
    must(store().lock({"alice", "why", at(0s).wall}));
    const std::string whole = bytes();
    int errors = 0;
    for (std::size_t page = 0; page < whole.size(); page += 4096) {
        std::string broken = whole;
        broken.replace(page, 100, 100, '\x5A');
        write(broken);
        const base::Result<Snapshot> snapshot = Store::read(home_.path());
        errors += snapshot ? 0 : 1;
        EXPECT_TRUE(!snapshot || snapshot->lock) << "page at " << page;
    }
    EXPECT_GE(errors, 2);
}

TEST_F(IntentStore, AnothersDatabaseAndALaterVersionAreNotRead) {
    must(store().lock({"alice", "why", at(0s).wall}));
    base::Result<Database> database = Database::open(file(), Database::How::read);
    must(database->run("PRAGMA user_version=2"));
    unknown("a later version");
    must(database->run("PRAGMA user_version=1; PRAGMA application_id=7"));
    unknown("another program's");
}

TEST_F(IntentStore, ALinkInItsPlaceIsNotFollowed) {
    must(store().lock({"alice", "why", at(0s).wall}));
    fs::rename(file(), home_.path() / "elsewhere.db");
    fs::create_symlink(home_.path() / "elsewhere.db", file());
    EXPECT_FALSE(Store::read(home_.path()));
    EXPECT_FALSE(Store::open(home_.path()));
}

TEST_F(IntentStore, AMakingThatWasCutShortIsMadeAgain) {
    write("");
    EXPECT_TRUE(read().sessions.empty());
    must(store().lock({"alice", "why", at(0s).wall}));
    fs::remove(home_.path() / "intent.made");  // killed just before it was marked
    EXPECT_TRUE(read().lock);
    EXPECT_TRUE(store().snapshot()->lock);
    EXPECT_TRUE(fs::exists(home_.path() / "intent.made"));
}

TEST_F(IntentStore, KilledWhileWritingItHoldsTheOneBeforeOrTheOneAfter) {
    for (int kill = 0; kill < 25; ++kill) {
        std::array<int, 2> at_work{};
        ASSERT_EQ(::pipe2(at_work.data(), O_CLOEXEC), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            base::Result<Store> opened = Store::open(home_.path());
            for (int i = 0; opened; ++i) {
                static_cast<void>(opened->begin_local("alice", 1h, at(std::chrono::seconds(i))));
                static_cast<void>(opened->close(true, at(std::chrono::seconds(i))));
                if (i == 0 && ::write(at_work[1], "x", 1) != 1) break;
            }
            ::_exit(1);
        }
        char byte = 0;
        ASSERT_EQ(::read(at_work[0], &byte, 1), 1);
        std::this_thread::sleep_for(std::chrono::microseconds(kill * 700));
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        for (const int end : at_work) ::close(end);
        ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
        const base::Result<Snapshot> snapshot = Store::read(home_.path());
        ASSERT_TRUE(snapshot) << to_text(snapshot.error());
        EXPECT_LE(snapshot->sessions.size(), 1U);
        EXPECT_TRUE(snapshot->hold) << "the first close is there, whatever came of the next";
    }
}

TEST_F(IntentStore, TwoWhoWriteAtOnceBothSucceed) {
    must(store().lock({"root", "why", at(0s).wall}));
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 4; ++writer)
        writers.emplace_back([this, writer] {
            Store mine = store();
            for (int i = 0; i < 10; ++i)
                EXPECT_TRUE(mine.put_task(
                    {"task-" + std::to_string(writer) + "-" + std::to_string(i), "bob", at(0s).wall, at(1h).wall}));
        });
    writers.clear();
    EXPECT_EQ(read().tasks.size(), 40U);
}

}  // namespace
}  // namespace safe::intent
