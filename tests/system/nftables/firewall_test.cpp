// The driver on the kernel's own nftables, in a network namespace of its own. What needs connection tracking on bridges
// is skipped where the kernel has none, with its name; SAFE_REQUIRE_BRIDGE_CONNTRACK=1 (the appliance sets it) makes
// that a failure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <iostream>

#include "plugins/nftables/compile.hpp"
#include "plugins/nftables/kernel_features.hpp"
#include "plugins/nftables/transaction.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/system/nftables/firewall_fixture.hpp"

namespace safe::nftables {
namespace {

using model::Absent;
using model::Mode;
using model::Present;
using model::Unknown;
using test::FirewallOnKernel;
using testing::HasSubstr;

/// Without the two things that not every kernel has for bridges.
std::vector<Chain> stripped(std::vector<Chain> chains) {
    for (Chain& chain : chains)
        for (Rule& rule : chain.rules) {
            Json kept = Json::array();
            const Json body = parse_rule_text(rule.text).value();
            for (const Json& statement : body) {
                const std::string text = to_rule_text(Json::array({statement}));
                if (!text.starts_with("ct ") && !text.starts_with("meta ")) kept.push_back(statement);
            }
            rule.text = to_rule_text(kept);
        }
    return chains;
}

TEST_F(FirewallOnKernel, EveryRuleButTrackingIsListedBackAsItWasMeant) {
    const Firewall firewall = compile(spec, *spec.network);
    const auto api = make_kernel_api();
    std::vector<Chain> wanted = stripped(firewall.base);
    for (Chain& chain : wanted)
        for (const Chain& mode : {firewall.storage, firewall.open, firewall.locked})
            if (chain.name == mode.name) chain = stripped({mode})[0];
    for (const Extent extent : {Extent::whole_table, Extent::wanted_chains}) {
        const auto listed = api->list("safe-atlas").value();
        const Table there = listed ? parse_table(*listed).value() : Table{};
        const auto commands = changes("safe-atlas", listed ? &there : nullptr, wanted, extent);
        ASSERT_TRUE(commands);
        const auto done = api->run(*commands, Api::Run::commit);
        ASSERT_TRUE(done) << to_text(done.error());
    }
    const Table table = parse_table(api->list("safe-atlas")->value()).value();
    for (const Chain& chain : wanted) {
        std::vector<Rule> rules;
        for (const ListedRule& listed : table.chain(chain.name)->rules) rules.push_back(listed.rule);
        EXPECT_EQ(rules.size(), chain.rules.size());
        for (std::size_t i = 0; i < rules.size(); ++i) EXPECT_EQ(rules[i].text, chain.rules[i].text) << rules[i].name;
        EXPECT_EQ(table.chain(chain.name)->hook, chain.hook);
    }
    EXPECT_TRUE(changes("safe-atlas", &table, wanted, Extent::wanted_chains).value().empty());
}

TEST_F(FirewallOnKernel, SaysWhatThisKernelLacksAndLeavesNothingBehind) {
    const std::string before = nft("list ruleset");
    const model::Snapshot seen = look();
    EXPECT_FALSE(seen.enumeration_failed);
    EXPECT_EQ(nft("list ruleset"), before);
    if (tracking_works()) {
        EXPECT_TRUE(seen.refusals.empty());
        return;
    }
    ASSERT_FALSE(seen.refusals.empty());
    EXPECT_EQ(seen.refusals.back().subject, "kernel: nf_conntrack_bridge");
    EXPECT_THAT(to_text(seen.refusals.back().error), HasSubstr("modprobe nf_conntrack_bridge"));
}

TEST_F(FirewallOnKernel, WithoutPrivilegeEverythingIsUnknown) {
    const auto as_nobody = [&] {
        if (setuid(65534) != 0) _exit(2);
        const model::Snapshot seen = look();
        if (!seen.enumeration_failed || !std::holds_alternative<Unknown>(seen.observations.at(base_id))) _exit(1);
        std::cerr << to_text(*seen.enumeration_failed);
        _exit(0);
    };
    EXPECT_EXIT(as_nobody(), testing::ExitedWithCode(0), "Operation not permitted; run as root");
}

TEST_F(FirewallOnKernel, ATablePutToSleepIsSeenAndWoken) {
    const auto api = make_kernel_api();
    const std::vector<Chain> wanted{{"base"}, {"owned-by-safe"}};
    ASSERT_TRUE(api->run(*changes("safe-atlas", nullptr, wanted, Extent::whole_table), Api::Run::commit));
    nft("add table bridge safe-atlas { flags dormant; }");
    const Table asleep = parse_table(api->list("safe-atlas")->value()).value();
    EXPECT_TRUE(asleep.flagged);
    // libnftables 1.0.6 prints the flag from memory that it has freed, and mostly gets away with it.
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(parse_table(api->list("safe-atlas")->value())->flagged) << i;
    ASSERT_TRUE(api->run(*changes("safe-atlas", &asleep, wanted, Extent::whole_table), Api::Run::commit));
    EXPECT_FALSE(parse_table(api->list("safe-atlas")->value())->flagged);
    EXPECT_THAT(nft("list table bridge safe-atlas"), testing::Not(HasSubstr("dormant")));
}

TEST_F(FirewallOnKernel, ATableWithoutOurMarkIsForeign) {
    nft("add table bridge safe-atlas; add chain bridge safe-atlas base");
    const std::string before = nft("list ruleset");
    EXPECT_TRUE(std::holds_alternative<model::Foreign>(look().observations.at(base_id)));
    model::Step step;
    step.resource = base_id;
    EXPECT_FALSE(driver->apply(step, wanted(Mode::closed, base_id), Absent{}, {}));
    EXPECT_EQ(nft("list ruleset"), before);
}

TEST_F(FirewallOnKernel, ConvergesThroughTheModesBesideForeignTables) {
    NEEDS_BRIDGE_TRACKING();
    nft("add table bridge other; add chain bridge other c { type filter hook forward priority 5; }; "
        "add rule bridge other c counter accept comment \"theirs\"; add table inet safe-atlas");
    const std::string theirs = nft("list table bridge other") + nft("list table inet safe-atlas");
    for (const Mode mode : {Mode::closed, Mode::open, Mode::locked, Mode::open, Mode::closed}) {
        converge(mode);
        const std::string once = nft("-a list ruleset");
        converge(mode);
        EXPECT_EQ(nft("-a list ruleset"), once);
    }
    EXPECT_EQ(nft("list table bridge other") + nft("list table inet safe-atlas"), theirs);
}

TEST_F(FirewallOnKernel, ARuleRewrittenUnderItsOwnNameIsPutBackAndItsNeighboursKeepHandlesAndCounters) {
    NEEDS_BRIDGE_TRACKING();
    converge(Mode::open);
    const ListedRule victim = rule("open", "users-to-desktop: tcp/22");
    const std::string neighbour = "users-to-desktop: tcp/22 replies";
    // The same rule, as if it had counted: rule text is what nft reads, too.
    std::string counted = rule("open", neighbour).rule.text;
    counted.replace(counted.find("counter"), 7, "counter packets 4711 bytes 99");
    nft("replace rule bridge safe-atlas open handle " + std::to_string(rule("open", neighbour).handle) + " " + counted +
        " comment \"" + neighbour + "\"");
    const auto handle = rule("open", neighbour).handle;
    const std::string base = nft("-a list chain bridge safe-atlas base");
    nft("replace rule bridge safe-atlas open handle " + std::to_string(victim.handle) +
        " counter accept comment \"users-to-desktop: tcp/22\"");
    const auto changes = planning::difference(std::get<Present>(look().observations.at(open_id)).attributes,
                                              wanted(Mode::open, open_id).attributes);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(model::to_text(changes[0].path), "rules.users-to-desktop.tcp/22");
    EXPECT_EQ(model::to_text(*changes[0].before), "counter accept");
    converge(Mode::open);
    EXPECT_EQ(rule("open", "users-to-desktop: tcp/22").rule, victim.rule);
    EXPECT_EQ(rule("open", neighbour).handle, handle);
    EXPECT_THAT(nft("list chain bridge safe-atlas open"), HasSubstr("counter packets 4711 bytes 99"));
    EXPECT_EQ(nft("-a list chain bridge safe-atlas base"), base);
}

TEST_F(FirewallOnKernel, TheFirstOfManyRulesGoneTouchesNoOther) {
    NEEDS_BRIDGE_TRACKING();
    spec.firewall.clear();
    for (int i = 0; i < 30; ++i)
        spec.firewall.push_back(
            test::sample_rule("rule-" + std::to_string(i), "users", "desktop", {"tcp/" + std::to_string(1000 + i)}));
    converge(Mode::open);
    const std::string before = nft("-a list chain bridge safe-atlas open");
    spec.firewall.erase(spec.firewall.begin());
    converge(Mode::open);
    const std::string after = nft("-a list chain bridge safe-atlas open");
    EXPECT_EQ(before.substr(before.find("rule-1:")), after.substr(after.find("rule-1:")));
    EXPECT_EQ(after.find("rule-0:"), std::string::npos);
}

TEST_F(FirewallOnKernel, EveryKindOfMeddlingIsUndone) {
    NEEDS_BRIDGE_TRACKING();
    converge(Mode::open);
    const std::string sound = nft("list table bridge safe-atlas");
    for (const std::string meddling :
         {"flush table bridge safe-atlas", "flush chain bridge safe-atlas sources", "delete table bridge safe-atlas",
          "insert rule bridge safe-atlas base accept", "add rule bridge safe-atlas owned-by-safe counter",
          "add chain bridge safe-atlas forward { policy drop; }", "add table bridge safe-atlas { flags dormant; }",
          "add chain bridge safe-atlas evil; insert rule bridge safe-atlas base jump evil",
          "add set bridge safe-atlas s { type ipv4_addr; }"}) {
        nft(meddling);
        converge(Mode::open);
        EXPECT_EQ(nft("list table bridge safe-atlas"), sound) << meddling;
    }
}

}  // namespace
}  // namespace safe::nftables
