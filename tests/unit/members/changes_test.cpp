// The order of things, with a directory that fails at every call, before and after it has done what it was asked.
#include "reconciler/members/changes.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "reconciler/members/proof.hpp"
#include "reconciler/members/roll.hpp"
#include "reconciler/members/settle.hpp"
#include "tests/support/members/file_vault.hpp"
#include "tests/support/members/memory_attempts.hpp"
#include "tests/support/members/memory_directory.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::members {
namespace {

using base::Error;
using base::Secret;
using test::FileVault;
using test::MemoryDirectory;
using Fault = MemoryDirectory::Fault;
using ::testing::HasSubstr;

Secret secret(std::string_view text) {
    return Secret::copy_of(std::as_bytes(std::span(text.data(), text.size()))).value();
}

class Changes : public ::testing::Test {
 protected:
    Changes() {
        for (const char* user : {"alice", "bob", "carol", "dave"}) directory_.add_account(user);
        vault_.format("alice", keys("alice", "alice's").luks);
    }

    static Keys keys(const std::string& user, std::string_view password) {
        return derive_keys(secret(password), FileVault::derivation(), user).value();
    }

    base::Result<Done> enrol_bob(std::string_view password = "bob's") {
        return enrol(parts_, "bob", secret(password), "alice", secret("alice's"));
    }
    base::Result<Done> change_bob(std::string_view from, std::string_view to) {
        return change_password(parts_, "bob", secret(from), secret(to));
    }
    void must(const base::Result<Done>& done) {
        ASSERT_TRUE(done) << to_text(done.error());
        ASSERT_FALSE(done->waits) << to_text(*done->waits);
    }

    bool opens(const std::string& user, std::string_view password) {
        return vault_.prove(user, keys(user, password).luks).value().has_value();
    }
    bool opens_and_binds(const std::string& user, std::string_view password) {
        return opens(user, password) && directory_.binds(user, keys(user, password).directory).value();
    }
    std::size_t keyslots_of(const std::string& user) {
        std::size_t count = 0;
        for (const Keyslot& keyslot : vault_.read()->keyslots) count += keyslot.user == user ? 1U : 0U;
        return count;
    }

    std::string header() const {
        std::ifstream file(file_);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    /// The call must be refused and touch nothing at all.
    template <class Call>
    void refused(Call call, std::string_view why) {
        const std::string before = header();
        const auto entries = directory_.everything();
        const base::Result<Done> done = call();
        ASSERT_FALSE(done) << why;
        EXPECT_EQ(done.error().kind, Error::Kind::refused) << to_text(done.error());
        EXPECT_THAT(to_text(done.error()), HasSubstr(std::string(why)));
        EXPECT_EQ(header(), before);
        EXPECT_EQ(directory_.everything(), entries);
    }

    testing::TemporaryDirectory folder_;
    std::filesystem::path file_ = folder_.path() / "header";
    FileVault vault_{file_};
    MemoryDirectory directory_;
    test::MemoryAttempts attempts_;
    std::chrono::system_clock::time_point now_{std::chrono::hours(1)};
    Parts parts_{
        vault_, directory_, attempts_, {{"alice", true}, {"bob"}, {"carol", true}}, "local", [this] { return now_; }};
};

TEST_F(Changes, EnrolChangeAndRevoke) {
    must(enrol_bob());
    EXPECT_TRUE(opens_and_binds("bob", "bob's"));
    EXPECT_TRUE(opens_and_binds("alice", "alice's")) << "the first member was put right on the way";
    must(change_bob("bob's", "bob's second"));
    EXPECT_TRUE(opens_and_binds("bob", "bob's second"));
    EXPECT_FALSE(opens("bob", "bob's"));
    EXPECT_EQ(keyslots_of("bob"), 1U);
    must(revoke(parts_, "bob"));
    EXPECT_FALSE(opens("bob", "bob's second"));
    EXPECT_FALSE(directory_.everything().contains("bob"));
    EXPECT_TRUE(opens_and_binds("alice", "alice's"));
}

TEST_F(Changes, TheFirstMemberNeedsNoSponsor) {
    must(enrol(parts_, "alice", Secret(), "alice", secret("alice's")));
    EXPECT_TRUE(opens_and_binds("alice", "alice's"));
    refused([&] { return enrol(parts_, "alice", Secret(), "alice", secret("alice's")); }, "enrolled already");
}

TEST_F(Changes, ADirectoryMadeAnewTakesEverybodyBackWithTheirOwnKey) {
    must(enrol_bob());
    directory_.forget_everything();
    for (const char* user : {"alice", "bob"}) directory_.add_account(user);
    must(settle(parts_.vault, parts_.directory));
    EXPECT_EQ(keyslots_of("bob"), 1U) << "no keyslot goes because a directory has forgotten";
    must(enrol(parts_, "bob", Secret(), "bob", secret("bob's")));
    EXPECT_TRUE(opens_and_binds("bob", "bob's"));
}

TEST_F(Changes, WhatIsRefusedTouchesNothing) {
    refused([&] { return enrol(parts_, "dave", secret("x"), "alice", secret("alice's")); }, "in the spec");
    refused([&] { return enrol(parts_, "*)(uid=*", secret("x"), "alice", secret("alice's")); }, "in the spec");
    refused([&] { return enrol(parts_, "bob", secret("x"), "alice", secret("wrong")); }, "wrong");
    refused([&] { return enrol(parts_, "bob", secret("x"), "carol", secret("x")); }, "no keyslot");
    refused([&] { return enrol(parts_, "bob", secret("x"), "mallory", secret("x")); }, "in the spec");
    refused([&] { return change_bob("x", "y"); }, "no keyslot");
    refused([&] { return revoke(parts_, "mallory"); }, "nobody of that name");
    refused([&] { return revoke(parts_, "alice"); }, "nobody else could open");
    must(enrol_bob());
    refused([&] { return revoke(parts_, "alice"); }, "no other super-user");
    refused([&] { return enrol_bob(); }, "enrolled already");
    refused([&] { return change_bob("wrong", "y"); }, "wrong");
    refused([&] { return change_bob("bob's", "bob's"); }, "the old one");
    must(enrol(parts_, "carol", secret("carol's"), "bob", secret("bob's")));
    must(revoke(parts_, "alice"));
    parts_.roster = {{"bob"}};
    refused([&] { return revoke(parts_, "bob"); }, "nobody else could open");
}

TEST_F(Changes, NothingIsTouchedWhileTheDirectoryIsDown) {
    must(enrol_bob());
    directory_.fault = [](std::string_view) { return Fault::before; };
    const std::string before = header();
    for (const auto& done :
         {enrol(parts_, "carol", secret("x"), "alice", secret("alice's")), change_bob("bob's", "y")}) {
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().kind, Error::Kind::failed);
    }
    EXPECT_EQ(header(), before);
    // Access goes all the same; the entry waits.
    const auto revoked = revoke(parts_, "bob");
    ASSERT_TRUE(revoked);
    EXPECT_TRUE(revoked->waits);
    EXPECT_FALSE(opens("bob", "bob's"));
    directory_.fault = [](std::string_view) { return Fault::none; };
    must(revoke(parts_, "bob"));
    EXPECT_FALSE(directory_.everything().contains("bob"));
}

/// The directory dies at its n-th call, before or after it was carried out, and is back for the next run.
TEST_F(Changes, ADirectoryThatDiesAnywhereLocksNobodyOut) {
    must(enrol_bob("pw0"));
    std::string present = "pw0";
    int changes = 0;
    for (const Fault how : {Fault::before, Fault::after})
        for (int dies_at = 1; dies_at <= 6; ++dies_at) {
            SCOPED_TRACE(fmt::format("dies at call {}, {}", dies_at, how == Fault::before ? "before" : "after"));
            const std::string next = fmt::format("pw{}", ++changes);
            int call = 0;
            directory_.fault = [&](std::string_view) { return ++call < dies_at ? Fault::none : how; };
            static_cast<void>(change_bob(present, next));
            directory_.fault = [](std::string_view) { return Fault::none; };
            EXPECT_EQ(opens_and_binds("bob", present) + opens_and_binds("bob", next), 1) << "exactly one of the two";
            must(settle(parts_.vault, parts_.directory));
            ASSERT_EQ(opens_and_binds("bob", present) + opens_and_binds("bob", next), 1);
            EXPECT_EQ(keyslots_of("bob"), 1U) << "the next run finishes";
            if (opens_and_binds("bob", next)) present = next;
        }
}

TEST_F(Changes, AWriteThatArrivesAfterWeStoppedWaitingLocksNobodyOut) {
    must(enrol_bob("old"));
    const auto nobody_answers = [](std::string_view call) {
        return call == "set_password" ? Fault::late : Fault::none;
    };
    directory_.fault = nobody_answers;
    const auto changed = change_bob("old", "new");
    ASSERT_TRUE(changed) << to_text(changed.error());
    EXPECT_TRUE(changed->waits) << "that it is not there yet is no knowledge";
    EXPECT_EQ(keyslots_of("bob"), 2U);
    directory_.deliver();
    directory_.fault = [](std::string_view) { return Fault::none; };
    must(settle(parts_.vault, parts_.directory));
    EXPECT_TRUE(opens_and_binds("bob", "new"));
    EXPECT_EQ(keyslots_of("bob"), 1U);

    // And the same of an enrolment.
    directory_.fault = [&](std::string_view call) { return nobody_answers(call); };
    const auto enrolled = enrol(parts_, "carol", secret("carol's"), "bob", secret("new"));
    ASSERT_TRUE(enrolled) << to_text(enrolled.error());
    EXPECT_TRUE(enrolled->waits);
    directory_.deliver();
    EXPECT_TRUE(opens_and_binds("carol", "carol's"));
}

TEST_F(Changes, AWriteThatArrivesAfterTheNextCommandDoesNothing) {
    const auto nobody_answers = [](std::string_view call) {
        return call == "set_password" ? Fault::late : Fault::none;
    };
    const auto answers = [](std::string_view) { return Fault::none; };
    must(enrol_bob("old"));
    directory_.fault = nobody_answers;
    ASSERT_TRUE(change_bob("old", "new")->waits);
    directory_.fault = answers;
    must(enrol(parts_, "carol", secret("carol's"), "alice", secret("alice's")));
    directory_.deliver();
    EXPECT_TRUE(opens_and_binds("bob", "old"));
    EXPECT_EQ(keyslots_of("bob"), 1U);

    directory_.fault = nobody_answers;
    ASSERT_TRUE(change_bob("old", "new")->waits);
    directory_.fault = answers;
    must(change_bob("old", "third"));
    directory_.deliver();
    EXPECT_TRUE(opens_and_binds("bob", "third"));
    EXPECT_EQ(keyslots_of("bob"), 1U);
}

TEST_F(Changes, WhatCannotBeFencedOffStaysAndMayArriveAtAnyTime) {
    must(enrol_bob("old"));
    directory_.fault = [](std::string_view call) { return call == "set_password" ? Fault::late : Fault::none; };
    ASSERT_TRUE(change_bob("old", "new")->waits);
    directory_.fault = [](std::string_view call) { return call == "fence" ? Fault::before : Fault::none; };
    const auto settled = settle(parts_.vault, parts_.directory);
    ASSERT_TRUE(settled);
    EXPECT_TRUE(settled->waits);
    EXPECT_EQ(keyslots_of("bob"), 2U);

    // It arrives while the next change is under way: that one is not done, and is not said to be.
    directory_.fault = [this](std::string_view call) {
        if (call == "set_password") directory_.deliver();
        return call == "fence" ? Fault::before : Fault::none;
    };
    EXPECT_FALSE(change_bob("old", "third"));
    EXPECT_TRUE(opens_and_binds("bob", "new"));
    EXPECT_FALSE(opens("bob", "third"));
    directory_.fault = [](std::string_view) { return Fault::none; };
    must(settle(parts_.vault, parts_.directory));
    EXPECT_TRUE(opens_and_binds("bob", "new"));
    EXPECT_EQ(keyslots_of("bob"), 1U);
}

TEST_F(Changes, AnEnrolmentWithAnotherPasswordTakesTheOldOneAwayLast) {
    must(enrol(parts_, "alice", Secret(), "alice", secret("alice's")));
    directory_.fault = [](std::string_view call) { return call == "set_password" ? Fault::late : Fault::none; };
    ASSERT_TRUE(enrol_bob("first try")->waits);
    directory_.fault = [](std::string_view call) { return call == "set_password" ? Fault::before : Fault::none; };
    EXPECT_FALSE(enrol_bob("second try"));
    EXPECT_TRUE(opens("bob", "first try"));
    EXPECT_EQ(keyslots_of("bob"), 1U) << "and nothing of the second";
    directory_.fault = [](std::string_view) { return Fault::none; };
    must(enrol_bob("third try"));
    directory_.deliver();
    EXPECT_TRUE(opens_and_binds("bob", "third try"));
    EXPECT_EQ(keyslots_of("bob"), 1U);
}

TEST_F(Changes, AnEnrolmentCutShortIsTakenUp) {
    directory_.fault = [](std::string_view call) { return call == "set_password" ? Fault::before : Fault::none; };
    ASSERT_FALSE(enrol(parts_, "bob", secret("bob's"), "alice", secret("alice's")));
    directory_.fault = [](std::string_view) { return Fault::none; };
    must(enrol(parts_, "alice", Secret(), "alice", secret("alice's")));
    // The write may or may not have happened: everything after it fails too.
    bool written = false;
    directory_.fault = [&](std::string_view call) {
        written = written || call == "set_password";
        return written ? Fault::before : Fault::none;
    };
    const auto half = enrol_bob("first try");
    ASSERT_TRUE(half);
    EXPECT_TRUE(half->waits);
    EXPECT_TRUE(opens("bob", "first try"));
    directory_.fault = [](std::string_view) { return Fault::none; };
    must(settle(parts_.vault, parts_.directory));
    EXPECT_EQ(keyslots_of("bob"), 1U);
    must(enrol_bob("second try"));
    EXPECT_TRUE(opens_and_binds("bob", "second try"));
    EXPECT_FALSE(opens("bob", "first try"));
    EXPECT_EQ(keyslots_of("bob"), 1U);
}

TEST_F(Changes, SomebodyElseWasFaster) {
    must(enrol_bob());
    // Between our look and our write, another machine has changed the password.
    directory_.fault = [&, done = false](std::string_view call) mutable {
        if (call == "set_password" && !std::exchange(done, true)) {
            EXPECT_TRUE(directory_.set_password("bob", 1, 2, keys("bob", "theirs").directory));
        }
        return Fault::none;
    };
    const auto late = change_bob("bob's", "ours");
    EXPECT_TRUE(!late || late->waits || !opens_and_binds("bob", "ours"));
    EXPECT_TRUE(directory_.binds("bob", keys("bob", "theirs").directory).value()) << "theirs was not overwritten";
}

TEST_F(Changes, RevokingEndsConnectionsFirst) {
    must(enrol_bob());
    bool cut = false;
    base::Result<void> answer = base::fail({"end", "the connections of bob", "Operation not permitted", ""});
    parts_.disconnect = [&](std::string_view user) {
        EXPECT_EQ(user, "bob");
        EXPECT_TRUE(opens_and_binds("bob", "bob's")) << "nothing has gone before";
        cut = true;
        return answer;
    };
    const std::string before = header();
    const auto entries = directory_.everything();
    refused([&] { return revoke(parts_, "alice"); }, "no other super-user");
    EXPECT_FALSE(cut) << "nobody is cut off by what is refused";
    const auto failed = revoke(parts_, "bob");
    ASSERT_FALSE(failed) << "a key that is taken from somebody who stays inside takes nothing from them";
    EXPECT_THAT(to_text(failed.error()), HasSubstr("connections of bob"));
    EXPECT_TRUE(cut);
    EXPECT_EQ(header(), before);
    EXPECT_EQ(directory_.everything(), entries);
    answer = base::Result<void>();
    must(revoke(parts_, "bob"));
    EXPECT_FALSE(opens("bob", "bob's"));
    EXPECT_FALSE(directory_.everything().contains("bob"));
}

TEST_F(Changes, TheThirtiethMemberIsTheLast) {
    for (int i = 2; i <= 31; ++i) {
        const std::string user = fmt::format("user{}", i);
        directory_.add_account(user);
        parts_.roster.push_back({user});
        if (i < 31)
            must(enrol(parts_, user, secret(user), "alice", secret("alice's")));
        else
            refused([&] { return enrol(parts_, user, secret(user), "alice", secret("alice's")); }, "no room");
    }
    must(change_password(parts_, "user30", secret("user30"), secret("another")));
    EXPECT_TRUE(opens_and_binds("user30", "another")) << "one slot is kept to rotate through";
}

TEST_F(Changes, WrongPasswordsMustWaitLongerAndLonger) {
    must(enrol_bob());
    for (int i = 0; i < 4; ++i) EXPECT_THAT(to_text(change_bob("wrong", "y").error()), HasSubstr("it is wrong"));
    refused([&] { return change_bob("bob's", "y"); }, "try again in 2 s");
    refused([&] { return change_bob("bob's", "y"); }, "try again in 2 s");
    now_ += std::chrono::seconds(2);
    EXPECT_THAT(to_text(change_bob("wrong", "y").error()), HasSubstr("it is wrong"));
    refused([&] { return change_bob("bob's", "y"); }, "try again in 4 s");
    now_ -= std::chrono::hours(1);
    refused([&] { return change_bob("bob's", "y"); }, "try again in 4 s");
    now_ += std::chrono::hours(1) + std::chrono::seconds(4);
    must(change_bob("bob's", "bob's second"));
    EXPECT_EQ(attempts_.kept("bob", "local"), Attempts{}) << "all is forgiven";
}

TEST_F(Changes, ALoginIsJudgedByBoth) {
    must(enrol_bob());
    EXPECT_TRUE(log_in(parts_, "bob", secret("bob's")));
    EXPECT_FALSE(log_in(parts_, "bob", secret("wrong")));
    EXPECT_FALSE(log_in(parts_, "bob", Secret()));
    directory_.fault = [](std::string_view) { return Fault::before; };
    const auto login = log_in(parts_, "bob", secret("bob's"));
    ASSERT_TRUE(login) << "the vault is the final verdict";
    EXPECT_TRUE(login->directory_out_of_reach);
}

TEST_F(Changes, AKeyslotWhoseTokenIsGoneIsRevokedWithItsOwnerAndOpensNothingMeanwhile) {
    must(enrol_bob());
    must(enrol(parts_, "carol", secret("carol's"), "bob", secret("bob's")));
    for (const char* user : {"bob", "carol"}) vault_.strip_token(user);
    const Roll roll = call_roll(vault_, directory_, parts_.roster).value();
    EXPECT_EQ(std::ranges::find(roll.entries, "bob", &RollEntry::user)->state, RollEntry::State::unnamed);
    EXPECT_EQ(roll.others, 0);
    const auto login = log_in(parts_, "bob", secret("bob's"));
    ASSERT_FALSE(login);
    EXPECT_THAT(to_text(login.error()), HasSubstr("no keyslot"));
    EXPECT_EQ(attempts_.kept("bob", "local"), Attempts{}) << "no password of his can be wrong";
    refused([&] { return revoke(parts_, "alice"); }, "nobody else could open");
    must(settle(parts_.vault, parts_.directory));
    EXPECT_EQ(keyslots_of("bob"), 1U) << "nothing goes of itself";

    must(revoke(parts_, "bob"));
    EXPECT_EQ(keyslots_of("bob"), 0U);
    EXPECT_FALSE(directory_.everything().contains("bob"));
    must(enrol(parts_, "carol", secret("carol's second"), "alice", secret("alice's")));
    EXPECT_EQ(keyslots_of("carol"), 1U) << "the new one takes its place";
    EXPECT_TRUE(opens_and_binds("carol", "carol's second"));
}

TEST_F(Changes, TheRollSaysHowFarEachHasCome) {
    must(enrol_bob());
    directory_.add_account("dave");
    const auto state = [&](const std::string& user) {
        const Roll roll = call_roll(vault_, directory_, parts_.roster).value();
        return std::ranges::find(roll.entries, user, &RollEntry::user)->state;
    };
    EXPECT_EQ(state("alice"), RollEntry::State::enrolled);
    EXPECT_EQ(state("bob"), RollEntry::State::enrolled);
    EXPECT_EQ(state("carol"), RollEntry::State::pending);
    EXPECT_EQ(state("dave"), RollEntry::State::leaving);
    ASSERT_TRUE(vault_.remove("bob", 1));
    EXPECT_EQ(state("bob"), RollEntry::State::out_of_step);
    directory_.fault = [](std::string_view) { return Fault::before; };
    EXPECT_EQ(state("alice"), RollEntry::State::unknown);
    EXPECT_EQ(call_roll(vault_, directory_, parts_.roster)->room, 29);
}

}  // namespace
}  // namespace safe::members
