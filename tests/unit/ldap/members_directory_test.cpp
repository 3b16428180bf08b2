// What is concluded from the answers of a directory server about members.
#include "plugins/ldap/members_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ldap/scripted_api.hpp"

namespace safe::ldap {
namespace {

using test::failure;
using test::ScriptedApi;
using ::testing::HasSubstr;

class Members : public ::testing::Test {
 protected:
    const Layout at{"atlas", "dc=atlas,dc=example"};
    const Entry bob{at.account("bob"), {{std::string(mark), {"atlas"}}, {std::string(generation_attribute), {"1"}}}};
    std::unique_ptr<ScriptedApi> made = std::make_unique<ScriptedApi>();
    ScriptedApi& api = *made;
    const std::unique_ptr<members::Directory> directory = make_directory(at, std::move(made));
};

TEST_F(Members, APasswordThatNobodyConfirmedMayFollow) {
    const base::Secret key = base::Secret::copy_of(std::as_bytes(std::span("0123456789abcdef"))).value();
    api.sees = [&](const Query&) { return std::vector{bob}; };
    for (const auto kind : {Failure::Kind::unreachable, Failure::Kind::failed, Failure::Kind::not_as_was}) {
        api.modifies = [&](const std::string&) { return failure(kind); };
        const auto set = directory->set_password("bob", 1, 2, key);
        ASSERT_FALSE(set);
        EXPECT_EQ(set.error().may_follow, kind == Failure::Kind::unreachable);
    }
    // Nothing was sent, so nothing can arrive.
    api.sees = [](const Query&) { return failure(Failure::Kind::unreachable); };
    const auto set = directory->set_password("bob", 1, 2, key);
    ASSERT_FALSE(set);
    EXPECT_FALSE(set.error().may_follow);
}

TEST_F(Members, NobodyIsGoneWhoseUnitIsNotShown) {
    api.sees = [](const Query&) { return failure(Failure::Kind::missing); };
    EXPECT_THAT(to_text(directory->list().error()), HasSubstr("it is new, or directory.bind may not read it"));
    EXPECT_THAT(to_text(directory->find("bob").error()), HasSubstr("shows no ou=people,dc=atlas,dc=example"));
    EXPECT_FALSE(directory->remove("bob"));
    // A search that shows nothing where the entry itself is searched is no better.
    api.sees = [](const Query&) { return std::vector<Entry>(); };
    EXPECT_FALSE(directory->find("bob"));
    api.sees = [&](const Query& query) -> Answer<std::vector<Entry>> {
        if (query.base != at.unit(model::Kind::account)) return failure(Failure::Kind::missing);
        return std::vector{Entry{query.base, {}}};
    };
    EXPECT_EQ(directory->find("bob").value(), std::nullopt);
    EXPECT_FALSE(directory->remove("bob")) << "the groups are not shown";
}

}  // namespace
}  // namespace safe::ldap
