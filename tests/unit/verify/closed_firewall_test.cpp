// The firewall of a closed safe, as nft lists it: whatever lets more through than it should is found.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "plugins/nftables/rule_text.hpp"
#include "specs/identity.hpp"
#include "tests/unit/verify/closed_fixture.hpp"

namespace safe::verify::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string as_listed(const std::string& text) { return nftables::parse_rule_text(text).value().dump(); }

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
    EXPECT_THAT(found(), Contains(HasSubstr("fault firewall: a rule lets traffic of desktop through: odd")));
    host.no_rules("base");
    host.rule("base", "odd",
              fmt::format(R"([{{"match": {{"op": "==", "left": {{"meta": {{"key": "oifname"}}}},
        "right": {{"set": ["eth9", "{}"]}}}}}}, {{"accept": null}}])",
                          specs::tap_of("atlas", "desktop")));
    host.rule("base", "implied/default-drop", R"([{"drop": null}])");
    EXPECT_THAT(found(), Contains(HasSubstr("a rule lets traffic of desktop through: odd")));
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

/// What stands before the rules of the safe decides before they do.
TEST_F(Closed, ARuleSlippedInBeforeTheOnesThatHoldBack) {
    const std::string bridge = R"({"match": {"op": "==", "left": {"meta": {"key": "ibrname"}}, "right": "br-atlas"}})";
    const std::string ip =
        R"({"match": {"op": "==", "left": {"payload": {"protocol": "ether", "field": "type"}}, "right": "ip"}})";
    const std::vector<std::pair<std::string, std::string>> slipped{
        {"forward", R"([{"accept": null}])"},
        {"input", R"([{"counter": {"packets": 0, "bytes": 0}}, {"accept": null}])"},
        {"prerouting", R"([{"accept": null}])"},
        {"output", "[" + ip + R"(, {"accept": null}])"},
        {"base", "[" + ip + R"(, {"accept": null}])"},
        {"sources", "[" + ip + R"(, {"accept": null}])"},
        // The hooks accept what comes back to them.
        {"forward", "[" + bridge + R"(, {"return": null}])"},
        {"forward", "[" + bridge + R"(, {"goto": {"target": "open"}}])"},
        {"forward", R"([{"jump": {"target": "elsewhere"}}])"},
        {"base", "[" + ip + R"(, {"return": null}])"},
        {"base", R"([{"goto": {"target": "open"}}])"},
        {"base", R"([{"jump": {"target": "elsewhere"}}])"},
        {"sources", R"([{"return": null}])"},
        {"base", "[" + ip + R"(, {"queue": {"num": 0}}])"},
        {"base", R"([{"vmap": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "data": "@who"}}])"},
    };
    for (const auto& [chain, body] : slipped)
        for (const std::string& name : {std::string(), "implied/" + chain}) {
            host.first_rule(chain, name, body);
            EXPECT_THAT(found(), Contains(HasSubstr("fault firewall: a rule lets through more than the spec allows")))
                << chain << " " << name << " " << body;
            host.compiled_rules(chain, spec);
        }
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, ADropThatSomebodyAddedLetsNothingThrough) {
    for (const char* chain : {"forward", "input", "prerouting", "base", "sources"})
        host.first_rule(chain, "", R"([{"log": {"prefix": "x"}}, {"counter": null}, {"drop": null}])");
    EXPECT_THAT(found(), IsEmpty());
}

/// Under the name of a rule that is always there.
TEST_F(Closed, AnImpliedRuleThatTestsLess) {
    const std::string tap = specs::tap_of("atlas", "desktop");
    for (const auto& [chain, name, body] : std::vector<std::array<std::string, 3>>{
             {"input", "implied/dhcp-requests", "meta ibrname br-atlas udp dport 67 counter accept"},
             {"output", "implied/dhcp-answers", "meta obrname br-atlas udp sport 67 counter accept"},
             {"base", "implied/arp", "arp operation {3, reply, request} counter accept"},
             {"base", "implied/arp", "arp operation != {reply, request} counter accept"},
             {"sources", "implied/source/desktop: ip", "iifname " + tap + " counter accept"},
             {"sources", "implied/source/desktop: users",
              "iifname " + tap + " ip saddr 10.78.0.0/24 counter accept"}}) {
        host.first_rule(chain, name, as_listed(body));
        EXPECT_THAT(found(), Contains(HasSubstr("more than the spec allows: " + name))) << body;
        host.compiled_rules(chain, spec);
    }
}

TEST_F(Closed, TheBridgeIsEnteredWholeAndSourcesEndInADrop) {
    for (const char* condition : {"ip saddr 10.77.0.9 ", "meta ibrname br-other "}) {
        host.no_rules("forward");
        host.rule("forward", "implied/forward",
                  as_listed(std::string("meta ibrname br-atlas ") + condition + "goto base"));
        EXPECT_THAT(found(), ElementsAre(HasSubstr("do not enter base by the hook forward"))) << condition;
    }
    host.compiled_rules("forward", spec);
    host.no_rules("sources");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("VMs may send under any address")));
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
                ElementsAre(HasSubstr("fault firewall: a declared rule is missing: gateway-to-host")));
    const std::string tap = specs::tap_of("atlas", "gateway");
    host.rule("locked", "gateway-to-host: tcp/22",
              as_listed("iifname " + tap +
                        " ip saddr 10.77.0.2 ip daddr 10.77.0.1 tcp dport 22 ct direction original "
                        "ct state established,new counter accept"));
    EXPECT_THAT(found(model::Mode::locked), IsEmpty());
    EXPECT_THAT(found(), ElementsAre(HasSubstr("while closed")));
}

}  // namespace
}  // namespace safe::verify::test
