// What the plugin relies on, asked of the fake and of the kernel alike. The kernel's part runs as root, in a network
// namespace of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/nftables/ruleset.hpp"
#include "plugins/nftables/transaction.hpp"
#include "tests/support/nftables/fake_nft.hpp"
#include "tests/support/nftables/network_namespace.hpp"

namespace safe::nftables {
namespace {

using testing::ElementsAre;

enum class Which { fake, kernel };

constexpr const char* name = "safe-contract";

std::string printed(const base::Error& error) { return to_text(error); }

class NftablesApi : public testing::TestWithParam<Which> {
 protected:
    void SetUp() override {
        if (GetParam() == Which::fake) {
            api = std::make_unique<test::FakeNft>();
            return;
        }
        if (const std::string why = test::enter_own_network(); !why.empty()) GTEST_SKIP() << why;
        api = make_kernel_api();
    }

    void commit(const Json& commands) {
        const auto done = api->run(commands, Api::Run::commit);
        ASSERT_TRUE(done) << printed(done.error()) << "\n" << commands.dump();
    }
    void commit_text(std::string_view json) { commit(Json::parse(json)); }

    Table look() {
        auto listed = api->list(name);
        if (!listed) throw std::runtime_error(printed(listed.error()));
        return parse_table(listed->value()).value();
    }

    void make(const std::vector<Chain>& wanted) {
        const bool there = api->list(name).value().has_value();
        const Table table = there ? look() : Table{};
        const auto commands = changes(name, there ? &table : nullptr, wanted, Extent::whole_table);
        ASSERT_TRUE(commands) << printed(commands.error());
        commit(*commands);
    }

    std::vector<std::string> names(std::string_view chain) {
        const Table table = look();
        std::vector<std::string> found;
        for (const ListedRule& rule : table.chain(chain)->rules) found.push_back(rule.rule.name);
        return found;
    }

    const Hook hook{"filter", "forward", 0, "accept"};
    std::unique_ptr<Api> api;
};

Rule port(const std::string& rule, int number) {
    return {rule, "tcp dport " + std::to_string(number) + " counter accept"};
}

TEST_P(NftablesApi, ATableThatIsNotThereIsNoError) {
    const auto listed = api->list(name);
    ASSERT_TRUE(listed) << printed(listed.error());
    EXPECT_FALSE(listed->has_value());
}

TEST_P(NftablesApi, WhatIsMadeIsListedAsItWasMeant) {
    const std::vector<Chain> wanted{
        {"forward", hook, {{"to base", "iifname sf0123456789ab goto base"}}},
        {"base", std::nullopt, {port("a: tcp/22", 22), {"b", "ip saddr 10.0.0.0/8 udp dport 5000-5010 counter drop"}}},
        {"owned-by-safe"}};
    make(wanted);
    EXPECT_EQ(attributes_of("base", look()), attributes_of("base", wanted));
    EXPECT_TRUE(look().ours());
    const Table table = look();
    EXPECT_TRUE(changes(name, &table, wanted, Extent::whole_table).value().empty());
}

TEST_P(NftablesApi, ACheckLeavesNothingBehind) {
    const auto commands = changes(name, nullptr, {{"base", std::nullopt, {port("a", 1)}}}, Extent::whole_table);
    ASSERT_TRUE(api->run(*commands, Api::Run::check));
    EXPECT_FALSE(api->list(name)->has_value());
    const auto impossible = Json::parse(R"([{"delete": {"table": {"family": "bridge", "name": "safe-contract"}}}])");
    EXPECT_FALSE(api->run(impossible, Api::Run::check));
}

TEST_P(NftablesApi, ATransactionIsAllOrNothing) {
    make({{"base", std::nullopt, {port("a", 1)}}});
    const auto done = api->run(Json::parse(R"([
        {"flush": {"chain": {"family": "bridge", "table": "safe-contract", "name": "base"}}},
        {"delete": {"chain": {"family": "bridge", "table": "safe-contract", "name": "nowhere"}}}])"),
                               Api::Run::commit);
    ASSERT_FALSE(done);
    EXPECT_FALSE(done.error().cause.empty());
    EXPECT_FALSE(done.error().advice.empty());
    EXPECT_THAT(names("base"), ElementsAre("a"));
}

TEST_P(NftablesApi, RulesComeAndGoAtTheirPlaceAndOthersKeepTheirHandles) {
    make({{"base", std::nullopt, {port("a", 1), port("b", 2), port("c", 3), port("d", 4)}}});
    const Table before = look();
    make({{"base",
           std::nullopt,
           {port("new", 9), port("a", 1), port("b", 20), port("x", 5), port("y", 6), port("d", 4), port("e", 7)}}});
    EXPECT_THAT(names("base"), ElementsAre("new", "a", "b", "x", "y", "d", "e"));
    const Table after = look();
    EXPECT_EQ(after.chain("base")->rules[1].handle, before.chain("base")->rules[0].handle);
    EXPECT_EQ(after.chain("base")->rules[5].handle, before.chain("base")->rules[3].handle);
    EXPECT_EQ(after.chain("base")->rules[2].rule, port("b", 20));
}

TEST_P(NftablesApi, AReplacedRuleUnderItsOwnNameIsSeen) {
    make({{"base", std::nullopt, {port("a", 1), port("b", 2)}}});
    const auto handle = look().chain("base")->rules[0].handle;
    commit(Json::array({{{"replace",
                          {{"rule",
                            {{"family", "bridge"},
                             {"table", name},
                             {"chain", "base"},
                             {"handle", handle},
                             {"comment", "a"},
                             {"expr", Json::array({{{"accept", nullptr}}})}}}}}}}));
    EXPECT_EQ(look().chain("base")->rules[0].rule, (Rule{"a", "accept"}));
    EXPECT_EQ(look().chain("base")->rules[1].rule, port("b", 2));
}

TEST_P(NftablesApi, APolicyChangesInPlaceAndAHookByANewChain) {
    for (const Hook& meddled : {Hook{"filter", "forward", 0, "drop"}, Hook{"filter", "input", 0, "accept"},
                                Hook{"filter", "forward", 7, "accept"}}) {
        make({{"gate", meddled, {port("a", 1)}}});
        EXPECT_EQ(look().chain("gate")->hook, meddled);
        make({{"gate", hook, {port("a", 1)}}});
        EXPECT_EQ(look().chain("gate")->hook, hook);
        EXPECT_THAT(names("gate"), ElementsAre("a"));
    }
}

TEST_P(NftablesApi, StrangersGoInTheSameTransactionAsTheRulesThatUseThem) {
    make({{"base", std::nullopt, {port("a", 1)}}});
    commit_text(R"([{"add": {"chain": {"family": "bridge", "table": "safe-contract", "name": "evil"}}},
               {"add": {"counter": {"family": "bridge", "table": "safe-contract", "name": "spy"}}},
               {"add": {"set": {"family": "bridge", "table": "safe-contract", "name": "spies", "type": "ipv4_addr"}}},
               {"insert": {"rule": {"family": "bridge", "table": "safe-contract", "chain": "base",
                                    "expr": [{"jump": {"target": "evil"}}]}}}])");
    EXPECT_EQ(look().chains.size(), 2U);
    EXPECT_EQ(look().objects.size(), 2U);
    EXPECT_THAT(names("base"), ElementsAre("", "a"));
    make({{"base", std::nullopt, {port("a", 1)}}});
    EXPECT_EQ(look().chains.size(), 1U);
    EXPECT_TRUE(look().objects.empty());
    EXPECT_THAT(names("base"), ElementsAre("a"));
}

TEST_P(NftablesApi, AChainIsEmptiedAndATableDeleted) {
    make({{"base", std::nullopt, {port("a", 1)}}});
    commit(empty_chain(name, "base"));
    EXPECT_TRUE(look().chain("base")->rules.empty());
    commit(delete_table(name));
    EXPECT_FALSE(api->list(name)->has_value());
}

INSTANTIATE_TEST_SUITE_P(Of, NftablesApi, testing::Values(Which::fake, Which::kernel), [](const auto& tested) {
    return tested.param == Which::fake ? std::string("TheFake") : std::string("TheKernel");
});

}  // namespace
}  // namespace safe::nftables
