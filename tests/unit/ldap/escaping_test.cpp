#include "plugins/ldap/escaping.hpp"

#include <gtest/gtest.h>
#include <ldap.h>
#include <rapidcheck/gtest.h>

#include <memory>

namespace safe::ldap {
namespace {

using namespace std::string_literals;

struct FreeName {
    void operator()(LDAPDN name) const { ldap_dnfree(name); }
};

/// What libldap, which shares no code of ours, reads as the value of the first part; nullopt when it is no name.
std::optional<std::string> read_by_libldap(const std::string& name, std::size_t parts) {
    berval text{name.size(), const_cast<char*>(name.data())};
    LDAPDN raw = nullptr;
    if (ldap_bv2dn(&text, &raw, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS) return std::nullopt;
    const std::unique_ptr<std::remove_pointer_t<LDAPDN>, FreeName> parsed(raw);
    std::size_t count = 0;
    while (raw[count] != nullptr) ++count;
    if (count != parts || raw[0][1] != nullptr) return std::nullopt;
    return std::string(raw[0][0]->la_value.bv_val, raw[0][0]->la_value.bv_len);
}

RC_GTEST_PROP(Escaping, AnyValueIsOnePartOfANameAndComesBack, (const std::string& value)) {
    RC_PRE(!value.empty());
    const std::string name = child_of("dc=example", "uid", value);
    RC_ASSERT(read_by_libldap(name, 2) == value);
    RC_ASSERT(first_part(name) == (NamePart{"uid", value}));
}

RC_GTEST_PROP(Escaping, AFilterHasNoByteThatMeansSomething, (const std::string& value)) {
    const std::string filter = equals("uid", value);
    const std::string inside = filter.substr(5, filter.size() - 6);
    RC_ASSERT(inside.find_first_of("()*\0 ,+"s) == std::string::npos);
    // Read back by the rule of RFC 4515.
    std::string back;
    for (std::size_t at = 0; at < inside.size();) {
        if (inside[at] != '\\') {
            back += inside[at++];
            continue;
        }
        back += static_cast<char>(std::stoi(inside.substr(at + 1, 2), nullptr, 16));
        at += 3;
    }
    RC_ASSERT(back == value);
}

TEST(Escaping, NamesOfBadDays) {
    for (const std::string& value : {"*)(uid=*"s, "a,b"s, "a+uid=b"s, " leading"s, "trailing "s, "#hash"s,
                                     "bob\0carol"s, "back\\slash"s, "quo\"te"s, "é"s, "\xff\xfe"s}) {
        EXPECT_EQ(read_by_libldap(child_of("dc=example", "uid", value), 2), value) << value;
    }
    EXPECT_EQ(equals("uid", "*)(uid=*"), "(uid=\\2a\\29\\28uid\\3d\\2a)");
}

TEST(Escaping, OtherSpellingsOfTheFirstPart) {
    EXPECT_EQ(first_part("UID=bob\\, the other,dc=example"), (NamePart{"uid", "bob, the other"}));
    EXPECT_EQ(first_part("uid=\\C3\\A9"), (NamePart{"uid", "é"}));
    EXPECT_EQ(first_part("uid=bob+cn=x,dc=example"), std::nullopt);
    for (const char* no_name : {"", "bob", "=bob", "uid=", "uid=,dc=x", "u id=bob", "uid=bob\\"})
        EXPECT_EQ(first_part(no_name), std::nullopt) << no_name;
}

TEST(Escaping, FiltersCombine) {
    EXPECT_EQ(all_of({equals("a", "1"), any_of({equals("b", "2"), equals("c", "3")})}), "(&(a=1)(|(b=2)(c=3)))");
}

}  // namespace
}  // namespace safe::ldap
