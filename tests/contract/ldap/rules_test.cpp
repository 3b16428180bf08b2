// What examples/directory/access.ldif lets whom do, judged with the directory's own programs.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "plugins/ldap/connection.hpp"
#include "plugins/ldap/escaping.hpp"
#include "reconciler/base/password_hash.hpp"
#include "tests/support/ldap/private_slapd.hpp"

namespace safe::ldap {
namespace {

using test::PrivateSlapd;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int confidentiality_required = 13;  // RFC 4511, appendix A
constexpr int insufficient_access_rights = 50;

class Rules : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        slapd.emplace();
        const auto api = make_api(slapd->local());
        const base::Secret secret = base::Secret::copy_of(std::as_bytes(std::span(password))).value();
        const std::string hash = "{ARGON2}" + base::hash_of_key(secret).value();
        ASSERT_TRUE(api->add({PrivateSlapd::base,
                              {{"objectClass", {"organization", "dcObject", "safeObject"}},
                               {"dc", {"atlas"}},
                               {"o", {"atlas"}},
                               {"safeName", {"atlas"}}}}));
        for (const std::string user : {"bob", "carol"})
            ASSERT_TRUE(api->add({name_of(user),
                                  {{"objectClass", {"inetOrgPerson", "safeMember"}},
                                   {"uid", {user}},
                                   {"cn", {user}},
                                   {"sn", {"D"}},
                                   {"mail", {user + "@example.org"}},
                                   {"safeName", {"atlas"}},
                                   {"safeGeneration", {"7"}},
                                   {"userPassword", {hash}}}}));
        std::ofstream(slapd->directory() / "bobs") << password;
        std::filesystem::permissions(slapd->directory() / "bobs", std::filesystem::perms(0600));
    }

    static std::string name_of(const std::string& user) { return child_of(PrivateSlapd::base, "uid", user); }
    base::Finished run(std::vector<std::string> program, const std::vector<std::string>& arguments,
                       const std::string& uri) const {
        program.insert(program.begin(), {"env", "LDAPTLS_CACERT=" + slapd->ca().string()});
        program.insert(program.end(), {"-x", "-H", uri});
        program.insert(program.end(), arguments.begin(), arguments.end());
        return base::run_process(program).value();
    }
    base::Finished as_bob(std::vector<std::string> program, const std::vector<std::string>& arguments,
                          const std::string& uri) const {
        program.insert(program.end(), {"-D", name_of("bob"), "-y", (slapd->directory() / "bobs").string()});
        return run(std::move(program), arguments, uri);
    }
    /// As bob, on the local socket.
    base::Finished change(const std::string& ldif) const {
        std::ofstream(slapd->directory() / "change.ldif") << ldif;
        return as_bob({"ldapmodify"}, {"-f", (slapd->directory() / "change.ldif").string()}, slapd->local_uri());
    }
    std::vector<std::string> private_ways() const { return {slapd->local_uri(), slapd->tls_uri()}; }

    static constexpr std::string_view password = "0123456789abcdef0123456789abcdef";
    std::optional<PrivateSlapd> slapd;
};

TEST_F(Rules, WithoutLoggingInThereIsNothingToSee) {
    std::vector<std::string> ways = private_ways();
    ways.push_back(slapd->plain_uri());
    for (const std::string& uri : ways)
        for (const std::string& place : {std::string(PrivateSlapd::base), name_of("bob")})
            for (const char* depth : {"base", "sub"}) {
                const auto seen =
                    run({"ldapsearch", "-LLL"}, {"-s", depth, "-b", place, "(objectClass=*)", "*", "+"}, uri);
                EXPECT_THAT(seen.output, Not(HasSubstr("dn:"))) << uri << " " << place;
                EXPECT_THAT(seen.errors, HasSubstr("No such object")) << "nor that it is there at all";
            }
    for (const char* filter : {"(uid=bob)", "(userPassword=*)", "(safeGeneration=7)"})
        EXPECT_EQ(run({"ldapsearch", "-LLL"}, {"-b", PrivateSlapd::base, filter}, slapd->tls_uri()).output, "");
}

TEST_F(Rules, AMemberReadsEntriesAndNeitherPasswordsNorGenerations) {
    for (const std::string& uri : private_ways()) {
        const auto seen =
            as_bob({"ldapsearch", "-LLL"},
                   {"-b", PrivateSlapd::base, "(uid=*)", "*", "+", "userPassword", "safeGeneration"}, uri);
        EXPECT_EQ(seen.status, 0) << seen.errors;
        EXPECT_THAT(seen.output, HasSubstr("mail: carol@example.org"));
        EXPECT_THAT(seen.output, Not(AnyOf(HasSubstr("userPassword"), HasSubstr("safeGeneration:"))));
    }
    // Nor is a password guessed by asking whom it fits.
    for (const char* filter : {"(userPassword=*)", "(userPassword={ARGON2}*)", "(safeGeneration=7)"})
        EXPECT_EQ(as_bob({"ldapsearch", "-LLL"}, {"-b", PrivateSlapd::base, filter}, slapd->local_uri()).output, "")
            << filter;
    for (const char* attribute : {"userPassword:secret", "safeGeneration:7"})
        EXPECT_THAT(as_bob({"ldapcompare"}, {name_of("bob"), attribute}, slapd->local_uri()).status,
                    Not(AnyOf(5, 6)))  // compareFalse, compareTrue
            << attribute;
}

TEST_F(Rules, AMemberWritesNothing) {
    const std::string before = slapd->dump();
    const std::string bob = "dn: " + name_of("bob") + "\n";
    const std::string carol = "dn: " + name_of("carol") + "\n";
    for (const std::string& ldif :
         {bob + "changetype: modify\nreplace: userPassword\nuserPassword: mine\n",
          bob + "changetype: modify\nreplace: safeGeneration\nsafeGeneration: 8\n",
          bob + "changetype: modify\nreplace: mail\nmail: other@example.org\n",
          bob + "changetype: modify\nadd: description\ndescription: I was here\n", bob + "changetype: delete\n",
          bob + "changetype: modrdn\nnewrdn: uid=alice\ndeleteoldrdn: 1\n",
          carol + "changetype: modify\nreplace: userPassword\nuserPassword: mine\n", carol + "changetype: delete\n",
          "dn: " + name_of("dave") + "\nchangetype: add\nobjectClass: inetOrgPerson\nuid: dave\ncn: dave\nsn: D\n",
          std::string("dn: ") + PrivateSlapd::base + "\nchangetype: modify\nreplace: o\no: mine\n"}) {
        const auto tried = change(ldif);
        EXPECT_EQ(tried.status, insufficient_access_rights) << ldif << tried.errors;
        EXPECT_EQ(slapd->dump(), before) << ldif;
    }
    // The way around the attribute: Password Modify (RFC 3062).
    std::ofstream(slapd->directory() / "fresh") << "mine";
    const auto tried = as_bob({"ldappasswd"}, {"-T", (slapd->directory() / "fresh").string()}, slapd->local_uri());
    EXPECT_NE(tried.status, 0);
    EXPECT_THAT(tried.output + tried.errors, HasSubstr("Insufficient access"));
    EXPECT_EQ(slapd->dump(), before);
    EXPECT_TRUE(slapd->takes(name_of("bob"), std::string(password)));
}

TEST_F(Rules, NoPasswordIsTakenOffALineInTheClear) {
    const auto plain = as_bob({"ldapwhoami"}, {}, slapd->plain_uri());
    EXPECT_EQ(plain.status, confidentiality_required) << plain.errors;
    EXPECT_THAT(plain.errors, HasSubstr("Confidentiality required"));
    EXPECT_EQ(as_bob({"ldapwhoami", "-ZZ"}, {}, slapd->plain_uri()).status, 0) << "with StartTLS it is not";
    for (const std::string& uri : private_ways()) EXPECT_EQ(as_bob({"ldapwhoami"}, {}, uri).status, 0) << uri;
}

}  // namespace
}  // namespace safe::ldap
