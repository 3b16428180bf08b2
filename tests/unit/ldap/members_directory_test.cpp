// What is concluded from the answers of a directory server about members.
#include "plugins/ldap/members_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ldap/scripted_api.hpp"

namespace safe::ldap {
namespace {

using test::failure;
using test::ScriptedApi;

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

}  // namespace
}  // namespace safe::ldap
