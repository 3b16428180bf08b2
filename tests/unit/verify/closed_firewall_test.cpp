// The firewall of a closed safe, as nft lists it: whatever lets more through than it should is found.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "specs/identity.hpp"
#include "tests/unit/verify/closed_fixture.hpp"

namespace safe::verify::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* to_desktop =
    R"([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "10.77.0.20"}}, {"accept": null}])";

TEST_F(Closed, RulesInTheChainOfAnotherMode) {
    for (const char* chain : {"open", "storage", "locked"}) {
        host.rule(chain, "slipped in", R"([{"counter": null}, {"accept": null}])");
        EXPECT_THAT(found(),
                    ElementsAre(HasSubstr("fault firewall: 1 rules where there may be none while closed: slipped in")))
            << chain;
        host.no_rules(chain);
    }
}

TEST_F(Closed, ARuleInBaseThatLetsASleepingVmThrough) {
    host.no_rules("base");
    host.rule("base", "odd", to_desktop);
    host.rule("base", "implied/default-drop", R"([{"drop": null}])");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault firewall: a rule lets traffic of desktop through: odd")));
    host.no_rules("base");
    host.rule("base", "odd",
              fmt::format(R"([{{"match": {{"op": "==", "left": {{"meta": {{"key": "oifname"}}}},
        "right": {{"set": ["eth9", "{}"]}}}}}}, {{"accept": null}}])",
                          specs::tap_of("atlas", "desktop")));
    host.rule("base", "implied/default-drop", R"([{"drop": null}])");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("a rule lets traffic of desktop through: odd")));
}

TEST_F(Closed, ABaseThatHoldsNothingBack) {
    host.no_rules("base");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("there is no base")));
    host.rule("base", "only", to_desktop);
    EXPECT_THAT(found(), Contains(HasSubstr("its last rule does not drop everything")));
    host.no_rules("base");
    host.rule("base", "all", R"([{"accept": null}])");
    host.rule("base", "implied/default-drop", R"([{"drop": null}])");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("a rule accepts everything")));
}

TEST_F(Closed, FramesThatDoNotEnterBase) {
    host.no_rules("forward");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("frames of br-atlas do not enter base by the hook forward")));
}

TEST_F(Closed, NoTableAndNoAnswer) {
    host.no_table();
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault firewall: there is no such table")));
    host.answers("nft list tables bridge", "Operation not permitted", 1);
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown firewall")));
    host.answers("nft list tables bridge", "table bridge safe-atlas\n");
    EXPECT_THAT(found(), IsEmpty());
    host.answers("nft -j list chains bridge", R"({"nftables": [{"chain": )");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown firewall")));
    host.answers("nft list table bridge safe-atlas", "");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown firewall")));
}

TEST_F(Closed, ATablePutToSleep) {
    host.answers("nft list table bridge safe-atlas", "table bridge safe-atlas {\n\tflags dormant\n\n\tchain base {\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault firewall: table safe-atlas is flagged dormant")));
    host.answers("nft list table bridge safe-atlas", "table bridge safe-atlas { # progname x\n\tflags owner\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault firewall: table safe-atlas is flagged")));
}

TEST_F(Closed, LockedHasItsOwnRulesAndNoOthers) {
    EXPECT_THAT(found(model::Mode::locked),
                ElementsAre(HasSubstr("fault firewall: a declared rule is missing: users-to-gateway")));
    host.rule("locked", "users-to-gateway: tcp/22", R"([{"counter": null}, {"accept": null}])");
    EXPECT_THAT(found(model::Mode::locked), IsEmpty());
    EXPECT_THAT(found(), ElementsAre(HasSubstr("while closed")));
}

}  // namespace
}  // namespace safe::verify::test
