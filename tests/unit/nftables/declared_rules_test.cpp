// Rules of the file that allow nothing, and those whose ends are partly asleep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "specs/identity.hpp"
#include "tests/support/nftables/sample_spec.hpp"
#include "tests/unit/nftables/judge.hpp"

namespace safe::nftables {
namespace {

using model::Mode;
using specs::When;
using test::Judge;
using test::sample_rule;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Firewall compiled(std::vector<specs::RuleSpec> rules) {
    specs::SafeSpec spec = test::sample_spec();
    spec.firewall = std::move(rules);
    return compile(spec, *spec.network);
}

TEST(DeclaredRules, WhatTheSpecDoesNotKnowIsRefusedByName) {
    const Firewall firewall = compiled({sample_rule("typo", "desktpo", "forge", {"tcp/80"})});
    ASSERT_EQ(firewall.refusals.size(), 1U);
    EXPECT_EQ(firewall.refusals[0].subject, "firewall.typo (atlas.yaml:20:3)");
}

/// Of each, `validate` says that it can never match, and that is no reason to keep a safe from opening.
TEST(DeclaredRules, WhatTheBridgeNeverSeesIsSaidAndMakesNoRule) {
    const Firewall none = compiled({});
    for (const auto& [from, to] : {std::pair("records", "10.77.0.4"),
                                   {"records", "10.77.0.99"},
                                   {"10.77.0.64/26", "records"},
                                   {"users", "super-users"},
                                   {"super-users", "gateway"},
                                   {"192.0.2.1", "198.51.100.0/24"}})
        for (const When when : {When::open, When::locked, When::always}) {
            const Firewall firewall = compiled({sample_rule("idle", from, to, {"tcp/22"}, when)});
            EXPECT_THAT(firewall.refusals, IsEmpty()) << from;
            EXPECT_THAT(firewall.notes, ElementsAre(HasSubstr("firewall.idle (atlas.yaml:20:3) allows nothing")));
            EXPECT_EQ(firewall.open.rules, none.open.rules);
            EXPECT_EQ(firewall.locked.rules, none.locked.rules);
        }
    EXPECT_THAT(compiled({sample_rule("cut-off", "users", "records", {"tcp/22"}, When::locked)}).refusals, IsEmpty());
}

TEST(DeclaredRules, OfARangeWorkspaceVmsSendWhileTheSafeIsOpen) {
    const Firewall firewall = compiled({sample_rule("all", "10.77.0.0/24", "records", {"tcp/80"}, When::always)});
    EXPECT_THAT(firewall.notes, IsEmpty());
    const auto from = [](const char* vm, const char* address) {
        return test::Frame{{"meta ibrname", "br-atlas"},
                           {"ether type", "ip"},
                           {"ether saddr", specs::mac_of("atlas", vm)},
                           {"iifname", specs::tap_of("atlas", vm)},
                           {"oifname", specs::tap_of("atlas", "records")},
                           {"ip saddr", address},
                           {"ip daddr", "10.77.0.4"},
                           {"ip protocol", "tcp"},
                           {"tcp dport", "80"},
                           {"ct state", "new"},
                           {"ct direction", "original"}};
    };
    const auto desktop = from("desktop", "10.77.0.20");
    EXPECT_EQ(Judge(firewall, Mode::open).through("forward", desktop), "accept all: tcp/80, desktop to records");
    EXPECT_EQ(Judge(firewall, Mode::closed).through("forward", desktop), "drop implied/default-drop");
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked})
        EXPECT_EQ(Judge(firewall, mode).through("forward", from("gateway", "10.77.0.2")),
                  "accept all: tcp/80, gateway to records");
}

}  // namespace
}  // namespace safe::nftables
