// What plugins/ldap promises of a directory server, the same over each way to reach a real one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/ldap/escaping.hpp"
#include "plugins/ldap/layout.hpp"
#include "reconciler/base/password_hash.hpp"
#include "tests/support/ldap/private_slapd.hpp"

namespace safe::ldap {
namespace {

using namespace std::string_literals;
using test::PrivateSlapd;
using ::testing::HasSubstr;
using ::testing::SizeIs;

base::Secret secret(std::string_view text) {
    return base::Secret::copy_of(std::as_bytes(std::span(text.data(), text.size()))).value();
}

class Slapd : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        slapd.emplace();
    }

    static Entry base_entry() {
        return {PrivateSlapd::base,
                {{"objectClass", {"organization", "dcObject", "safeObject"}},
                 {"dc", {"atlas"}},
                 {"o", {"atlas"}},
                 {"safeName", {"atlas"}}}};
    }

    static Entry person(const std::string& user, const std::string& name = "Bob Durand") {
        return {child_of(PrivateSlapd::base, "uid", user),
                {{"objectClass", {"inetOrgPerson", "safeMember"}},
                 {"uid", {user}},
                 {"cn", {name}},
                 {"sn", {"D"}},
                 {"safeName", {"atlas"}}}};
    }

    std::optional<PrivateSlapd> slapd;
};

enum class Way { local, local_as_admin, tls, start_tls };

class Contract : public Slapd, public ::testing::WithParamInterface<Way> {
 protected:
    void SetUp() override {
        Slapd::SetUp();
        if (slapd) api = make_api(options());
    }
    Options options() const {
        switch (GetParam()) {
            case Way::local:
                return slapd->local();
            case Way::local_as_admin:
                return {.uri = slapd->local_uri(), .ca = std::nullopt, .bind = slapd->bind()};
            case Way::tls:
                return slapd->over(slapd->tls_uri());
            case Way::start_tls:
                break;
        }
        return slapd->over(slapd->plain_uri());
    }
    std::unique_ptr<Api> api;
};

TEST_P(Contract, AddsFindsChangesAndRemoves) {
    const auto nothing = api->search({.base = PrivateSlapd::base, .depth = Query::Depth::itself});
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().kind, Failure::Kind::missing);

    ASSERT_TRUE(api->add(base_entry()));
    const Answer<void> twice = api->add(base_entry());
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().kind, Failure::Kind::exists);

    ASSERT_TRUE(api->add(person("bob")));
    const std::string bob = person("bob").name;
    ASSERT_TRUE(api->modify(bob, {{Modification::How::replace, "mail", {"bob@example.org"}},
                                  {Modification::How::add, "safeGeneration", {"1"}}}));
    auto found = api->search({.base = PrivateSlapd::base, .filter = equals("uid", "bob"), .attributes = {"mail"}});
    ASSERT_TRUE(found) << to_text(found.error().error);
    ASSERT_THAT(*found, SizeIs(1));
    EXPECT_EQ(found->front().first("MAIL"), "bob@example.org");
    EXPECT_EQ(found->front().find("cn"), nullptr) << "only what was asked for";

    // All or nothing: the second half fails, so the first has not happened.
    const Answer<void> stale = api->modify(bob, {{Modification::How::replace, "mail", {"other@example.org"}},
                                                 {Modification::How::remove, "safeGeneration", {"7"}}});
    ASSERT_FALSE(stale);
    EXPECT_EQ(stale.error().kind, Failure::Kind::not_as_was);
    found = api->search({.base = bob, .depth = Query::Depth::itself});
    EXPECT_EQ(found->front().first("mail"), "bob@example.org");

    ASSERT_TRUE(api->remove(bob));
    const Answer<void> gone = api->remove(bob);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().kind, Failure::Kind::missing);
}

TEST_P(Contract, AChangeIsMadeOnlyToTheEntryThatWasSeen) {
    ASSERT_TRUE(api->add(base_entry()));
    ASSERT_TRUE(api->add(person("bob")));
    const std::string bob = person("bob").name;
    const auto version = [&] {
        return std::string(api->search({.base = bob, .depth = Query::Depth::itself, .attributes = {"entryCSN"}})
                               ->front()
                               .first("entryCSN"));
    };
    const std::string seen = version();
    ASSERT_NE(seen, "");
    // To put a value where it is already makes another version, too.
    const std::vector<Modification> nothing{{Modification::How::replace, "safeName", {"atlas"}}};
    ASSERT_TRUE(api->modify(bob, nothing, equals("entryCSN", seen)));
    EXPECT_NE(version(), seen);
    const Answer<void> late =
        api->modify(bob, {{Modification::How::replace, "mail", {"late@example.org"}}}, equals("entryCSN", seen));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().kind, Failure::Kind::not_as_was);
    const auto found = api->search({.base = bob, .depth = Query::Depth::itself});
    EXPECT_EQ(found->front().find("mail"), nullptr);
    ASSERT_TRUE(api->modify(bob, nothing, equals("entryCSN", version())));
}

TEST_P(Contract, BindsWithTheRightPasswordOnlyAndNeverWithNone) {
    ASSERT_TRUE(api->add(base_entry()));
    Entry bob = person("bob");
    const std::string key(64, 'a');
    bob.attributes.push_back({"userPassword", {"{ARGON2}" + base::hash_of_key(secret(key)).value()}});
    ASSERT_TRUE(api->add(bob));
    ASSERT_TRUE(api->add(person("carol")));  // has no password yet

    EXPECT_TRUE(api->binds(bob.name, secret(key)).value());
    EXPECT_FALSE(api->binds(bob.name, secret(std::string(64, 'b'))).value());
    EXPECT_FALSE(api->binds(person("carol").name, secret(key)).value());
    EXPECT_FALSE(api->binds(person("nobody").name, secret(key)).value());
    for (const Entry& entry : {bob, person("carol")}) {
        const auto empty = api->binds(entry.name, base::Secret());
        ASSERT_FALSE(empty) << "an empty password must never be sent";
        EXPECT_EQ(empty.error().error.kind, base::Error::Kind::refused);
    }
    // The other program agrees, and shows what would have happened: the server takes none for anonymous.
    EXPECT_TRUE(slapd->takes(bob.name, key));
    EXPECT_FALSE(slapd->takes(bob.name, std::string(64, 'b')));
}

TEST_P(Contract, SearchesInPagesToTheEnd) {
    ASSERT_TRUE(api->add(base_entry()));
    for (int i = 0; i < 1203; ++i) ASSERT_TRUE(api->add(person(fmt::format("user-{:04}", i))));
    const auto found =
        api->search({.base = PrivateSlapd::base, .filter = equals("safeName", "atlas"), .attributes = {"uid"}});
    ASSERT_TRUE(found) << to_text(found.error().error);
    std::set<std::string, std::less<>> users;
    for (const Entry& entry : *found) users.emplace(entry.first("uid"));
    EXPECT_THAT(users, SizeIs(1203));
}

TEST_P(Contract, NamesOfAnyBytesStayNames) {
    ASSERT_TRUE(api->add(base_entry()));
    const std::vector<std::string> hostile{"*)(uid=*", "a,b",         "a+uid=b",    " leading", "trailing ",
                                           "#hash",    "back\\slash", "quo\"te",    "<>;=",     "é, ü",
                                           "/",        "a=b",         "bob\0carol"s};
    for (const std::string& name : hostile) {
        const Answer<void> added = api->add(person(name, name));
        ASSERT_TRUE(added) << name << ": " << to_text(added.error().error);
        const auto found = api->search({.base = PrivateSlapd::base, .filter = equals("uid", name)});
        ASSERT_TRUE(found);
        ASSERT_THAT(*found, SizeIs(1)) << name;
        EXPECT_EQ(found->front().first("uid"), name);
        ASSERT_TRUE(first_part(found->front().name)) << found->front().name;
        EXPECT_EQ(first_part(found->front().name)->type, "uid");
    }
    const auto all = api->search({.base = PrivateSlapd::base});
    ASSERT_TRUE(all);
    EXPECT_THAT(*all, SizeIs(hostile.size()));
    const auto star = api->search({.base = PrivateSlapd::base, .filter = equals("uid", "*")});
    ASSERT_TRUE(star);
    EXPECT_THAT(*star, SizeIs(0)) << "a star is a star";
}

TEST_P(Contract, ARestartedServerIsFoundAgain) {
    ASSERT_TRUE(api->add(base_entry()));
    slapd->stop();
    const auto down = api->search({.base = PrivateSlapd::base, .depth = Query::Depth::itself});
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().kind, Failure::Kind::unreachable) << to_text(down.error().error);
    EXPECT_EQ(api->add(person("bob")).error().kind, Failure::Kind::unreachable);
    slapd->start();
    EXPECT_TRUE(api->search({.base = PrivateSlapd::base, .depth = Query::Depth::itself}));
    slapd->stop();
    slapd->start();
    const Answer<void> added = api->add(person("bob"));
    EXPECT_TRUE(added) << "a write on a connection that has died meanwhile: " << to_text(added.error().error);
}

std::string name_of_way(const ::testing::TestParamInfo<Way>& way) {
    constexpr std::array names{"Local", "LocalAsAdmin", "Tls", "StartTls"};
    return names.at(static_cast<std::size_t>(way.param));
}

INSTANTIATE_TEST_SUITE_P(Over, Contract, ::testing::Values(Way::local, Way::local_as_admin, Way::tls, Way::start_tls),
                         name_of_way);

// --- reaching it

class Reaching : public Slapd {
 protected:
    static Failure failure_of(const Options& options) {
        const auto found = make_api(options)->search({.base = "", .depth = Query::Depth::itself});
        if (found) throw std::runtime_error("it was reached");
        return found.error();
    }
};

TEST_F(Reaching, OnlyTheNamedAuthorityCounts) {
    for (const std::string& uri : {slapd->tls_uri(), slapd->plain_uri()}) {
        Options options = slapd->over(uri);
        ASSERT_TRUE(make_api(options)->search({.base = "", .depth = Query::Depth::itself})) << uri;
        options.ca = slapd->other_ca();
        const Failure failure = failure_of(options);
        EXPECT_EQ(failure.kind, Failure::Kind::failed) << to_text(failure.error);
        EXPECT_THAT(to_text(failure.error), HasSubstr("certificate"));
    }
}

TEST_F(Reaching, TheNameInTheCertificateCounts) {
    Options options = slapd->over("ldaps://localhost:" + std::to_string(slapd->tls_port()));
    const Failure failure = failure_of(options);
    EXPECT_EQ(failure.kind, Failure::Kind::failed) << to_text(failure.error);
}

TEST_F(Reaching, NothingIsSentInTheClear) {
    // A server that knows no TLS: StartTLS fails, and that is the end.
    slapd.emplace(PrivateSlapd::Tls::off);
    slapd->stop();
    slapd->log_at("stats");
    slapd->start();
    EXPECT_EQ(failure_of(slapd->over(slapd->plain_uri())).error.attempt, "connect to");
    std::ifstream log(slapd->directory() / "slapd.log");
    const std::string text((std::istreambuf_iterator<char>(log)), {});
    EXPECT_THAT(text, HasSubstr("1.3.6.1.4.1.1466.20037"));
    EXPECT_THAT(text, ::testing::Not(HasSubstr("BIND dn=\"" + std::string(PrivateSlapd::admin))));
}

TEST_F(Reaching, IncompleteOptionsAreRefusedBeforeAnythingIsSent) {
    const Account bind = slapd->bind();
    for (const Options& options : std::vector<Options>{{.uri = slapd->tls_uri(), .ca = std::nullopt, .bind = bind},
                                                       {.uri = slapd->tls_uri(), .ca = slapd->ca(), .bind = {}},
                                                       {.uri = slapd->tls_uri(), .ca = "/nowhere", .bind = bind},
                                                       {.uri = "http://127.0.0.1", .ca = slapd->ca(), .bind = bind}}) {
        const Failure failure = failure_of(options);
        EXPECT_EQ(failure.error.kind, base::Error::Kind::refused) << to_text(failure.error);
        EXPECT_FALSE(failure.error.advice.empty());
    }
    Options wrong = slapd->over(slapd->tls_uri());
    wrong.bind->password.name = "/nowhere";
    EXPECT_THAT(to_text(failure_of(wrong).error), HasSubstr("/nowhere"));
}

TEST_F(Reaching, AWrongPasswordOfOursIsSaidSo) {
    Options options = slapd->over(slapd->tls_uri());
    std::ofstream(options.bind->password.name) << "wrong";
    const Failure failure = failure_of(options);
    EXPECT_EQ(failure.kind, Failure::Kind::failed);
    EXPECT_THAT(to_text(failure.error), HasSubstr("directory.bind"));
    EXPECT_THAT(to_text(failure.error), ::testing::Not(HasSubstr("wrong")));
}

TEST_F(Reaching, AFrozenServerIsGivenUpInTime) {
    for (const std::string& uri : {slapd->local_uri(), slapd->tls_uri(), slapd->plain_uri()}) {
        Options options = slapd->over(uri);
        options.patience = std::chrono::milliseconds(500);
        const auto api = make_api(options);
        ASSERT_TRUE(api->search({.base = "", .depth = Query::Depth::itself}));
        slapd->freeze();
        const auto start = std::chrono::steady_clock::now();
        const auto kept = api->search({.base = "", .depth = Query::Depth::itself});
        const auto fresh = make_api(options)->search({.base = "", .depth = Query::Depth::itself});
        const auto took = std::chrono::steady_clock::now() - start;
        slapd->thaw();
        ASSERT_FALSE(kept);
        ASSERT_FALSE(fresh);
        EXPECT_EQ(kept.error().kind, Failure::Kind::unreachable) << to_text(kept.error().error);
        EXPECT_EQ(fresh.error().kind, Failure::Kind::unreachable) << to_text(fresh.error().error);
        EXPECT_LT(took, std::chrono::seconds(8)) << uri;
    }
}

}  // namespace
}  // namespace safe::ldap
