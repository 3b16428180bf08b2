// What a unit means that is not shown, while somebody makes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/ldap/ldap_driver.hpp"
#include "tests/unit/ldap/scripted_api.hpp"

namespace safe::ldap {
namespace {

using model::Kind;
using model::make_id;
using test::failure;
using test::ScriptedApi;

/// Nothing of the directory is there at the first `early` questions; at all later ones it has both units.
model::Observation carols_account(int early) {
    specs::SafeSpec spec;
    spec.safe.value = "atlas";
    spec.directory = specs::DirectorySpec{};
    spec.directory->base.value = "dc=atlas";
    auto api = std::make_unique<ScriptedApi>();
    api->sees = [early, asked = 0](const Query& query) mutable -> Answer<std::vector<Entry>> {
        if (++asked <= early) return failure(Failure::Kind::missing, query.base);
        if (query.depth == Query::Depth::itself) return std::vector{Entry{query.base, {}}};
        return std::vector<Entry>();
    };
    const driver::KeyRing keys;
    const auto drivers = make_drivers({spec, driver::Places("atlas", "/nonexistent"), keys}, std::move(api));
    const model::ResourceId carol = make_id(Kind::account, "carol");
    return drivers.front()->observe({.ids = {carol}, .enumerate = false}, {}).observations.at(carol);
}

TEST(Units, MadeBetweenTwoQuestionsAreNoneThatAreHidden) {
    for (int early = 0; early < 4; ++early) {
        const model::Observation seen = carols_account(early);
        EXPECT_TRUE(std::holds_alternative<model::Absent>(seen)) << early;
    }
}

}  // namespace
}  // namespace safe::ldap
