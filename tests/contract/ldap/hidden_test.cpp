// A server that stops letting us read what is there: it says then of everything that there is no such thing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/members_directory.hpp"
#include "tests/support/ldap/private_slapd.hpp"

namespace safe::ldap {
namespace {

using model::Kind;
using model::make_id;
using test::PrivateSlapd;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Hidden : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        slapd.emplace();
        spec = test::safe_with_directory();
        specs::UserSpec carol;
        carol.name = "carol";
        carol.full_name.value = "Carol";
        carol.super.value = true;
        spec.users.push_back(carol);
        drivers = make_drivers(setting(), make_api(slapd->local()));
    }
    driver::Setting setting() const { return {spec, driver::Places("atlas", "/nonexistent"), keys}; }
    driver::Driver& driver() const { return *drivers.front(); }
    model::Snapshot observed() const {
        return driver().observe({.ids = {make_id(Kind::account, "carol")}, .enumerate = true}, {});
    }
    base::Result<void> carry_out(model::Action action, const model::Resource& resource) const {
        model::Step step;
        step.action = action;
        step.resource = resource.id;
        step.verb = "see to";
        return driver().apply(step, resource, model::Absent{}, {});
    }
    std::vector<model::Resource> wanted() const { return driver().desire(spec, model::Mode::open).resources; }
    void set_up() const {
        for (const model::Resource& resource : wanted()) {
            const base::Result<void> made = carry_out(model::Action::add, resource);
            ASSERT_TRUE(made) << to_text(made.error());
        }
    }
    /// For the identity that we ask with, which is root on the local socket.
    void hide(const std::string& what) const {
        slapd->ldapmodify("dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\nadd: olcAccess\nolcAccess: {0}to " +
                          what + " by * none\n");
    }
    std::unique_ptr<members::Directory> members() const {
        return make_directory(Layout{"atlas", PrivateSlapd::base}, make_api(slapd->local()));
    }

    std::optional<PrivateSlapd> slapd;
    specs::SafeSpec spec;
    driver::KeyRing keys;
    std::vector<std::unique_ptr<driver::Driver>> drivers;
};

TEST_F(Hidden, NobodyIsListedFoundOrRemovedWhoCannotBeSeen) {
    for (const std::string& what :
         {std::string("*"), "dn.subtree=\"ou=people," + std::string(PrivateSlapd::base) + "\""}) {
        SCOPED_TRACE(what);
        slapd.reset();
        slapd.emplace();
        drivers = make_drivers(setting(), make_api(slapd->local()));
        set_up();
        EXPECT_EQ(members()->list()->size(), 1U);
        hide(what);
        const auto listed = members()->list();
        ASSERT_FALSE(listed) << "not: nobody";
        EXPECT_THAT(to_text(listed.error()), HasSubstr("directory.bind may not read it"));
        EXPECT_FALSE(members()->find("carol"));
        EXPECT_FALSE(members()->remove("carol")) << "not: done";
        const auto removed = carry_out(model::Action::remove, wanted().front());
        ASSERT_FALSE(removed);
        EXPECT_THAT(to_text(removed.error()), HasSubstr("shows no ou=people"));
        const auto made = carry_out(model::Action::add, wanted().front());
        ASSERT_FALSE(made);
        EXPECT_THAT(slapd->dump(), HasSubstr("uid: carol")) << "there all the time";
    }
}

TEST_F(Hidden, ABaseThatIsNotShownIsSaidAndNothingComesOfTakingItForNew) {
    const auto is_said = ElementsAre(HasSubstr("it is new, or directory.bind may not read it"));
    EXPECT_THAT(observed().warnings, is_said);
    set_up();
    EXPECT_THAT(observed().warnings, IsEmpty());
    hide("*");
    EXPECT_THAT(observed().warnings, is_said);
    const std::string before = slapd->dump();
    spec.users.clear();
    EXPECT_FALSE(wanted().empty()) << "the groups, so that an apply always comes to an entry that is there";
    for (const model::Resource& resource : wanted())
        EXPECT_THAT(to_text(carry_out(model::Action::add, resource).error()), HasSubstr("the directory hides it"));
    EXPECT_EQ(slapd->dump(), before);
}

/// Without users in the file no account is asked for, and "nobody is there" would be the end of it.
TEST_F(Hidden, PeopleWhoAreHiddenBesideTheirGroupsAreUnknown) {
    set_up();
    hide("dn.subtree=\"ou=people," + std::string(PrivateSlapd::base) + "\"");
    const model::Snapshot snapshot = observed();
    ASSERT_TRUE(snapshot.enumeration_failed) << "not: there are none";
    EXPECT_THAT(snapshot.enumeration_failed->cause, HasSubstr("and no ou=people"));
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(snapshot.observations.at(make_id(Kind::account, "carol"))));
    EXPECT_TRUE(std::holds_alternative<model::Present>(snapshot.observations.at(make_id(Kind::group, "members"))));
}

TEST_F(Hidden, UnitsThatAreGoneAreNewAndPeopleAloneAreMadeByWhoeverTookThem) {
    set_up();
    const std::string base = PrivateSlapd::base;
    const auto removed = [](const std::string& name) { return "dn: " + name + "\nchangetype: delete\n\n"; };
    slapd->ldapmodify(removed("uid=carol,ou=people," + base) + removed("ou=people," + base));
    EXPECT_TRUE(observed().enumeration_failed);
    slapd->ldapmodify(removed("cn=members,ou=groups," + base) + removed("cn=super-users,ou=groups," + base) +
                      removed("ou=groups," + base));
    const model::Snapshot snapshot = observed();
    EXPECT_FALSE(snapshot.enumeration_failed);
    EXPECT_THAT(snapshot.warnings, IsEmpty());
    EXPECT_TRUE(std::holds_alternative<model::Absent>(snapshot.observations.at(make_id(Kind::account, "carol"))));
    set_up();
    EXPECT_TRUE(std::holds_alternative<model::Present>(observed().observations.at(make_id(Kind::account, "carol"))));
}

}  // namespace
}  // namespace safe::ldap
