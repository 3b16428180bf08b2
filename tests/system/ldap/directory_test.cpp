// Accounts and groups against a real slapd, planned and carried out the way safectl does; and what a bad day does to
// it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/members_directory.hpp"
#include "reconciler/applying/rounds.hpp"
#include "tests/support/ldap/meddling_proxy.hpp"
#include "tests/support/ldap/private_slapd.hpp"

namespace safe::ldap {
namespace {

using model::Kind;
using model::make_id;
using test::MeddlingProxy;
using test::PrivateSlapd;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Mood = MeddlingProxy::Mood;

class Directory : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        slapd.emplace();
        spec = test::safe_with_directory();
        spec.directory->ldap.value = slapd->local_uri();
        add_user("alice", "Alice Martin", true);
        add_user("bob", "Bob Durand");
        add_user("carol", "Carol, the + one; <\"é\">");
        spec.users[0].ssh_keys = {{"ssh-ed25519 AAAA alice"}};
        spec.users[1].mail = specs::Located<std::string>{"bob@example.org"};
    }

    void add_user(const std::string& name, const std::string& full_name, bool super = false) {
        specs::UserSpec user;
        user.name = name;
        user.full_name.value = full_name;
        user.super.value = super;
        spec.users.push_back(user);
    }

    driver::Setting setting() const { return {spec, driver::Places("atlas", folder.path()), keys}; }
    Options options() const {
        Options options = slapd->local();
        options.uri = *spec.directory->ldap;
        options.patience = patience;
        return options;
    }
    applying::DriverSet drivers() const { return applying::DriverSet(make_drivers(setting(), make_api(options()))); }
    applying::Goal goal() const { return {.spec = spec, .mode = model::Mode::closed, .limits = {}}; }

    model::Plan plan() const {
        applying::DriverSet set = drivers();
        return applying::look_and_plan(goal(), set, {}).plan;
    }
    model::Report apply(bool mass = true) const {
        applying::DriverSet set = drivers();
        applying::Goal wish = goal();
        wish.limits.allow_mass_removal = mass;
        auto journal = applying::Journal::open(folder.path() / "journal");
        applying::Listener silent;
        return applying::apply(wish, applying::look_and_plan(wish, set, {}),
                               {.drivers = set, .journal = *journal, .listener = silent, .stop = {}},
                               {.deferred = std::chrono::milliseconds(200), .between = std::chrono::milliseconds(50)});
    }
    void converge() const {
        const model::Report report = apply();
        for (const model::Outcome& outcome : report.outcomes)
            if (outcome.error) ADD_FAILURE() << to_text(*outcome.error);
        EXPECT_THAT(report.remaining.steps, IsEmpty());
        EXPECT_THAT(report.remaining.unknown, IsEmpty());
        EXPECT_THAT(plan().steps, IsEmpty()) << "a second look finds nothing to do";
    }
    static std::vector<std::string> steps(const model::Plan& plan) {
        std::vector<std::string> lines;
        for (const model::Step& step : plan.steps)
            lines.push_back(std::string(to_text(step.action)) + " " + to_text(step.resource));
        return lines;
    }

    testing::TemporaryDirectory folder;
    std::optional<PrivateSlapd> slapd;
    specs::SafeSpec spec;
    driver::KeyRing keys;
    std::chrono::milliseconds patience{10'000};
};

TEST_F(Directory, ConvergesFromNothingAndAgreesWithLdapsearch) {
    EXPECT_THAT(steps(plan()), ElementsAre("add account/alice", "add account/bob", "add account/carol",
                                           "add group/members", "add group/super-users"));
    converge();
    const std::string people = slapd->ldapsearch(PrivateSlapd::base, "(objectClass=posixAccount)");
    EXPECT_THAT(people, HasSubstr("dn: uid=alice,ou=people," + std::string(PrivateSlapd::base)));
    EXPECT_THAT(people, HasSubstr("mail: bob@example.org"));
    EXPECT_THAT(people, HasSubstr("sshPublicKey: ssh-ed25519 AAAA alice"));
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(cn=members)"), HasSubstr("memberUid: carol"));
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(cn=super-users)"), Not(HasSubstr("memberUid: bob")));
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(userPassword=*)", {"dn"}), IsEmpty()) << "pending enrolment";
}

TEST_F(Directory, WhatWasMeddledWithIsPutBackAndTheRestLeftAlone) {
    converge();
    const std::string bob = "uid=bob,ou=people," + std::string(PrivateSlapd::base);
    slapd->ldapmodify("dn: " + bob +
                      "\nchangetype: modify\nreplace: uidNumber\nuidNumber: 0\n-\nreplace: loginShell\n"
                      "loginShell: /bin/false\n-\nadd: telephoneNumber\ntelephoneNumber: +33 1\n-\n"
                      "add: cn\ncn: Bobby\n\ndn: cn=foreign,ou=people," +
                      PrivateSlapd::base + "\nchangetype: add\nobjectClass: device\ncn: foreign\n");
    EXPECT_THAT(steps(plan()), ElementsAre("change account/bob"));
    converge();
    const std::string entry = slapd->ldapsearch(bob, "(uid=bob)");
    EXPECT_THAT(entry, HasSubstr("loginShell: /bin/bash"));
    EXPECT_THAT(entry, Not(HasSubstr("Bobby")));
    EXPECT_THAT(entry, HasSubstr("telephoneNumber: +33 1")) << "not ours: untouched";
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(cn=foreign)"), HasSubstr("device"));
}

TEST_F(Directory, AForeignEntryUnderOneOfOurNamesIsRefusedAndUntouched) {
    converge();
    const std::string dave = "uid=dave,ou=people," + std::string(PrivateSlapd::base);
    slapd->ldapmodify("dn: " + dave + "\nchangetype: add\nobjectClass: account\nuid: dave\n");
    const std::string before = slapd->dump();
    add_user("dave", "Dave");
    const model::Plan refused = plan();
    ASSERT_EQ(refused.refusals.size(), 1U);
    EXPECT_EQ(refused.refusals[0].subject, "account/dave");
    apply();
    EXPECT_EQ(slapd->dump(), before) << "byte for byte";
    // An entry of another safe is as foreign as any.
    spec.users.pop_back();
    spec.safe.value = "atlas";
    slapd->ldapmodify("dn: uid=bob,ou=people," + std::string(PrivateSlapd::base) +
                      "\nchangetype: modify\nreplace: safeName\nsafeName: other\n");
    ASSERT_EQ(plan().refusals.size(), 1U);
    EXPECT_EQ(plan().refusals[0].subject, "account/bob");
}

TEST_F(Directory, WhoLeavesTheFileLeavesTheGroupAndThenTheDirectory) {
    converge();
    spec.users.pop_back();
    EXPECT_THAT(steps(plan()), ElementsAre("change group/members", "remove account/carol"));
    converge();
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(|(uid=carol)(memberUid=carol))", {"dn"}), IsEmpty());
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(uid=bob)", {"dn"}), Not(IsEmpty()));
}

TEST_F(Directory, HalfOfTheUsersAtOnceMustBeMeant) {
    converge();
    const std::string before = slapd->dump();
    spec.users.erase(spec.users.begin() + 1, spec.users.end());
    const model::Report report = apply(false);
    ASSERT_EQ(report.remaining.refusals.size(), 1U);
    EXPECT_THAT(to_text(report.remaining.refusals[0].error), HasSubstr("--allow-mass-removal"));
    EXPECT_EQ(slapd->dump(), before);
    converge();
}

TEST_F(Directory, NumbersAreTheSameInADirectoryMadeAnew) {
    converge();
    // One at a time: which of several entries was made first is chance.
    const auto numbers = [this] {
        std::string found;
        for (const char* user : {"alice", "bob", "carol"})
            found +=
                slapd->ldapsearch(PrivateSlapd::base, "(uid=" + std::string(user) + ")", {"uidNumber", "gidNumber"});
        return found;
    };
    const std::string before = numbers();
    slapd.emplace();
    spec.directory->ldap.value = slapd->local_uri();
    converge();
    EXPECT_THAT(before, HasSubstr("uidNumber"));
    EXPECT_EQ(numbers(), before);
}

TEST_F(Directory, ANumberThatSomebodyElseHasIsNotTaken) {
    converge();
    const auto number = number_of("atlas", make_id(Kind::account, "dave"));
    slapd->ldapmodify("dn: uid=other," + std::string(PrivateSlapd::base) +
                      "\nchangetype: add\nobjectClass: account\nobjectClass: posixAccount\nuid: other\ncn: other\n"
                      "homeDirectory: /\ngidNumber: 1\nuidNumber: " +
                      std::to_string(number) + "\n");
    add_user("dave", "Dave");
    const model::Report report = apply();
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(uid=dave)", {"dn"}), IsEmpty());
    ASSERT_FALSE(report.outcomes.empty());
    EXPECT_THAT(to_text(*report.outcomes[0].error), HasSubstr("uid=other"));
}

TEST_F(Directory, MarkedEntriesWithNamesThatNothingOfOursCanHaveAreLeftAlone) {
    converge();
    for (const char* name : {"\\2a\\29\\28uid=\\2a", "a\\2cb", "\\20leading", "x\\2fy", "\\c3\\a9"})
        slapd->ldapmodify("dn: uid=" + std::string(name) + ",ou=people," + PrivateSlapd::base +
                          "\nchangetype: add\nobjectClass: account\nobjectClass: safeMember\nsafeName: atlas\n");
    const std::string before = slapd->dump();
    const model::Plan seen = plan();
    EXPECT_THAT(seen.steps, IsEmpty());
    EXPECT_THAT(seen.unknown, IsEmpty());
    EXPECT_THAT(seen.notes, ::testing::SizeIs(5));
    converge();
    EXPECT_EQ(slapd->dump(), before);
}

// --- bad days

TEST_F(Directory, OffIsUnknownAndNeverAbsent) {
    converge();
    slapd->stop();
    const model::Plan off = plan();
    EXPECT_THAT(off.steps, IsEmpty());
    EXPECT_EQ(off.unknown.size(), 5U);
    EXPECT_THAT(off.blind, Not(IsEmpty()));
}

TEST_F(Directory, InAVmOfTheSameSpecItIsDeferred) {
    specs::VmSpec vm;
    vm.name = "directory";
    vm.role.value = specs::Role::service;
    vm.address = specs::Located<specs::Ipv4>{{0x7F000001U}};
    spec.vms = {vm};
    spec.directory->ldap.value = slapd->tls_uri();
    spec.directory->ca = specs::Located<specs::FilePath>{{"ca.pem", slapd->ca()}};
    spec.directory->bind = specs::BindSpec{};
    spec.directory->bind->dn.value = PrivateSlapd::admin;
    spec.directory->bind->password.value = slapd->bind().password;
    const auto look = [&] {
        return make_drivers(setting())
            .front()
            ->observe({.ids = {make_id(Kind::account, "bob")}, .enumerate = true}, {})
            .observations.at(make_id(Kind::account, "bob"));
    };
    EXPECT_TRUE(std::holds_alternative<model::Absent>(look()));
    slapd->stop();
    const auto seen = look();
    ASSERT_TRUE(std::holds_alternative<model::Deferred>(seen));
    EXPECT_EQ(to_text(std::get<model::Deferred>(seen).on), "power/directory");
    // Somebody who answers under a certificate that is not ours is no matter of time.
    slapd->start();
    spec.directory->ca->value.resolved = slapd->other_ca();
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(look()));
}

TEST_F(Directory, LinesThatBreakAnywhereConvergeOnTheNextRun) {
    MeddlingProxy proxy(folder.path() / "proxy", slapd->socket());
    for (const Mood mood : {Mood::cut_before, Mood::cut_after})
        for (int at = 1; at <= 40; at += 3) {
            SCOPED_TRACE(fmt::format("{} at chunk {}", mood == Mood::cut_before ? "cut before" : "cut after", at));
            spec.directory->ldap.value = proxy.uri();
            spec.users[1].mail->value = fmt::format("bob{}-{}@example.org", at, mood == Mood::cut_after);
            const std::string dave = fmt::format("dave{}{}", at, mood == Mood::cut_after ? "a" : "b");
            add_user(dave, "Dave");
            proxy.be(mood, at);
            static_cast<void>(apply());
            proxy.be(Mood::honest);
            converge();
            spec.users.pop_back();
        }
}

TEST_F(Directory, NonsenseStallsAndBoastsAreErrorsInTime) {
    converge();
    const std::string before = slapd->dump();
    MeddlingProxy proxy(folder.path() / "proxy", slapd->socket());
    spec.directory->ldap.value = proxy.uri();
    spec.users[1].mail->value = "new@example.org";
    for (const Mood mood : {Mood::stall, Mood::half, Mood::nonsense, Mood::endless})
        for (const int at : {1, 2, 3}) {
            SCOPED_TRACE(fmt::format("mood {} at {}", static_cast<int>(mood), at));
            proxy.be(mood, at);
            patience = std::chrono::milliseconds(500);
            const auto start = std::chrono::steady_clock::now();
            const model::Plan seen = plan();
            EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
            EXPECT_THAT(seen.unknown, Not(IsEmpty()));
            for (const model::Step& step : seen.steps) EXPECT_NE(step.action, model::Action::remove);
            proxy.be(Mood::honest);
            patience = std::chrono::milliseconds(10'000);
        }
    EXPECT_EQ(slapd->dump(), before);
    converge();
}

TEST_F(Directory, TwoOperatorsAtOnceEndInTheSameDirectory) {
    converge();
    add_user("dave", "Dave");
    spec.users[1].mail->value = "new@example.org";
    {
        const std::jthread one([this] { static_cast<void>(apply()); });
        const std::jthread other([this] { static_cast<void>(apply()); });
    }
    converge();
    EXPECT_THAT(slapd->ldapsearch(PrivateSlapd::base, "(uid=dave)", {"dn"}), Not(IsEmpty()));
}

TEST_F(Directory, TwoPasswordsAtOnceLeaveOne) {
    converge();
    const auto key = [](char c) {
        const std::string text(32, c);
        return base::Secret::copy_of(std::as_bytes(std::span(text))).value();
    };
    const auto directory = [&] { return make_directory(Layout{"atlas", PrivateSlapd::base}, make_api(options())); };
    ASSERT_TRUE(directory()->set_password("bob", std::nullopt, 1, key('0')));
    std::atomic<int> taken = 0;
    std::array<bool, 8> won{};
    {
        std::vector<std::jthread> racers;
        for (std::size_t i = 0; i < won.size(); ++i)
            racers.emplace_back([&, i] {
                won.at(i) = directory()->set_password("bob", 1, 2, key(static_cast<char>('a' + i))).has_value();
                if (won.at(i)) ++taken;
            });
    }
    EXPECT_EQ(taken, 1);
    for (std::size_t i = 0; i < won.size(); ++i)
        EXPECT_EQ(directory()->binds("bob", key(static_cast<char>('a' + i))).value(), won.at(i));
    EXPECT_FALSE(directory()->binds("bob", key('0')).value());
    const auto late = directory()->set_password("bob", 1, 3, key('z'));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().error.kind, base::Error::Kind::refused);
    EXPECT_EQ(directory()->find("bob").value()->generation, 2U);
}

}  // namespace
}  // namespace safe::ldap
