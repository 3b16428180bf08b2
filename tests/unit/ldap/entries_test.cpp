#include "plugins/ldap/entries.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace safe::ldap {
namespace {

using model::Kind;
using model::make_id;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

specs::UserSpec alice() {
    specs::UserSpec user;
    user.name = "alice";
    user.full_name.value = "Alice Martin";
    user.mail = specs::Located<std::string>{"alice@example.org"};
    user.ssh_keys = {{"ssh-ed25519 AAAA alice@laptop"}, {"ssh-ed25519 BBBB"}};
    return user;
}

const Layout layout{"atlas", "dc=atlas,dc=example"};
const model::ResourceId alice_id = make_id(Kind::account, "alice");

TEST(Entries, WhatIsWrittenIsReadBackAsWanted) {
    const model::Attributes wanted = Accounts("atlas").attributes(alice());
    const Entry entry = entry_of(layout, alice_id, wanted);
    EXPECT_EQ(entry.name, "uid=alice,ou=people,dc=atlas,dc=example");
    EXPECT_EQ(attributes_of(Kind::account, entry), wanted);
    EXPECT_THAT(modifications(Kind::account, entry, wanted), IsEmpty());
    EXPECT_TRUE(layout.owns(entry));
    EXPECT_EQ(entry.first("sn"), "Martin");

    const model::Attributes group = group_attributes("atlas", "members", {"alice", "bob"});
    const Entry group_entry = entry_of(layout, make_id(Kind::group, "members"), group);
    EXPECT_EQ(attributes_of(Kind::group, group_entry), group);
    EXPECT_THAT(*group_entry.find("memberUid"), ElementsAre("alice", "bob"));
}

TEST(Entries, WhatIsNotOursIsNeitherComparedNorWritten) {
    const model::Attributes wanted = Accounts("atlas").attributes(alice());
    Entry entry = entry_of(layout, alice_id, wanted);
    entry.attributes.push_back({"telephoneNumber", {"+33 1"}});
    entry.attributes.push_back({"userPassword", {"{ARGON2}x"}});
    entry.attributes[0].values.emplace_back("shadowAccount");
    EXPECT_EQ(attributes_of(Kind::account, entry), wanted);
    EXPECT_THAT(modifications(Kind::account, entry, wanted), IsEmpty());
}

TEST(Entries, OnlyWhatDiffersIsWritten) {
    const model::Attributes wanted = Accounts("atlas").attributes(alice());
    Entry entry = entry_of(layout, alice_id, wanted);
    for (Attribute& attribute : entry.attributes) {
        if (attribute.name == "mail") attribute.values = {"old@example.org"};
        if (attribute.name == "sshPublicKey") attribute.values.pop_back();
        if (attribute.name == "uidNumber") attribute.values = {"0"};
    }
    const auto changes = modifications(Kind::account, entry, wanted);
    ASSERT_THAT(changes, SizeIs(3));
    EXPECT_EQ(changes[0].attribute, "mail");
    EXPECT_EQ(changes[1].attribute, "sshPublicKey");
    EXPECT_THAT(changes[1].values, SizeIs(2));
    EXPECT_EQ(changes[2].attribute, "uidNumber");
}

TEST(Entries, WhatLeftTheSpecIsTakenAway) {
    Entry entry = entry_of(layout, alice_id, Accounts("atlas").attributes(alice()));
    specs::UserSpec plain = alice();
    plain.mail.reset();
    plain.ssh_keys.clear();
    const auto changes = modifications(Kind::account, entry, Accounts("atlas").attributes(plain));
    EXPECT_THAT(changes, ElementsAre(Modification{Modification::How::replace, "mail", {}},
                                     Modification{Modification::How::replace, "sshPublicKey", {}}));
}

TEST(Entries, AMissingClassIsADifferenceAndPutBackFirst) {
    const model::Attributes wanted = Accounts("atlas").attributes(alice());
    Entry entry = entry_of(layout, alice_id, wanted);
    entry.attributes[0].values = {"INETORGPERSON", "safeMember", "posixAccount"};
    EXPECT_NE(attributes_of(Kind::account, entry), wanted);
    EXPECT_THAT(modifications(Kind::account, entry, wanted),
                ElementsAre(Modification{Modification::How::add, "objectClass", {"ldapPublicKey"}}));
}

TEST(Entries, NonsenseInAnEntryIsADifferenceAndNoCrash) {
    const model::Attributes wanted = Accounts("atlas").attributes(alice());
    for (const Values& nonsense : std::vector<Values>{{"12x"}, {""}, {"99999999999999999999"}, {"1", "2"}}) {
        Entry entry = entry_of(layout, alice_id, wanted);
        for (Attribute& attribute : entry.attributes)
            if (attribute.name == "uidNumber" || attribute.name == "cn") attribute.values = nonsense;
        EXPECT_THAT(modifications(Kind::account, entry, wanted), SizeIs(2));
    }
}

TEST(Entries, NumbersFollowFromNamesForEver) {
    // Fixed here because files on volumes bear them: a change of this line would take people's files away.
    EXPECT_EQ(number_of("atlas", alice_id), 2127202731U);
    EXPECT_NE(number_of("atlas", alice_id), number_of("atlas", make_id(Kind::account, "bob")));
    EXPECT_NE(number_of("atlas", alice_id), number_of("other", alice_id));
    EXPECT_NE(number_of("atlas", make_id(Kind::group, "alice")), number_of("atlas", alice_id));
    for (int i = 0; i < 1000; ++i) {
        const std::uint32_t number = number_of("atlas", make_id(Kind::account, "u" + std::to_string(i)));
        EXPECT_GE(number, 1'879'048'192U);
        EXPECT_LE(number, 2'147'483'647U);
    }
}

TEST(Entries, ANameThatNoSpecCanHaveIsNobodys) {
    for (const char* name : {"uid=*)(uid=\\2a,ou=people,dc=x", "uid=a/b,ou=people,dc=x", "uid=Bob,ou=people,dc=x",
                             "cn=bob,ou=people,dc=x", "uid=bob+cn=x,ou=people,dc=x", "uid=\\00,ou=people,dc=x", ""})
        EXPECT_EQ(Layout::id_of(Kind::account, {name, {}}), std::nullopt) << name;
    EXPECT_EQ(Layout::id_of(Kind::account, {"UID=bob-2,ou=people,dc=x", {}}), make_id(Kind::account, "bob-2"));
}

}  // namespace
}  // namespace safe::ldap
