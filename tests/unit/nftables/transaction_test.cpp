#include "plugins/nftables/transaction.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/nftables/fake_nft.hpp"

namespace safe::nftables {

/// For RapidCheck's reports; found by its argument.
void showValue(const Rule& rule, std::ostream& out) { out << rule.name << " = " << rule.text; }

namespace {

using test::FakeNft;

constexpr const char* table_name = "safe-atlas";

Rule sample(int name, int port) {
    return {"rule-" + std::to_string(name), "tcp dport " + std::to_string(port) + " counter accept"};
}

Table look(FakeNft& nft) { return parse_table(nft.list(table_name).value().value()).value(); }

Json must(base::Result<Json> commands) {
    if (!commands) throw std::runtime_error(to_text(commands.error()));
    return *std::move(commands);
}

void make(FakeNft& nft, const std::vector<Chain>& wanted) {
    const bool there = nft.list(table_name).value().has_value();
    const Table table = there ? look(nft) : Table{};
    const Json commands = must(changes(table_name, there ? &table : nullptr, wanted, Extent::whole_table));
    const auto done = nft.run(commands, Api::Run::commit);
    ASSERT_TRUE(done) << to_text(done.error()) << commands.dump();
}

std::vector<Rule> rules_of(const Table& table, std::string_view chain) {
    std::vector<Rule> rules;
    for (const ListedRule& listed : table.chain(chain)->rules) rules.push_back(listed.rule);
    return rules;
}

std::size_t longest_common_run(const std::vector<Rule>& a, const std::vector<Rule>& b) {
    std::vector<std::vector<std::size_t>> best(a.size() + 1, std::vector<std::size_t>(b.size() + 1, 0));
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < b.size(); ++j)
            best[i + 1][j + 1] = a[i] == b[j] ? best[i][j] + 1 : std::max(best[i][j + 1], best[i + 1][j]);
    return best[a.size()][b.size()];
}

RC_GTEST_PROP(Transaction, MakesAnyChainIntoAnyOtherAndTouchesNothingThatMayStay, ()) {
    const auto some_rules = [] {
        return *rc::gen::container<std::vector<Rule>>(
            rc::gen::apply(sample, rc::gen::inRange(0, 12), rc::gen::inRange(1, 3)));
    };
    const std::vector<Rule> before = some_rules();  // may name a rule twice: somebody meddled
    std::vector<Rule> after;
    for (const Rule& rule : some_rules())
        if (std::ranges::find(after, rule.name, &Rule::name) == after.end()) after.push_back(rule);

    FakeNft nft;
    make(nft, {{"base", std::nullopt, before}});
    const Table first = look(nft);
    make(nft, {{"base", std::nullopt, after}});
    const Table second = look(nft);
    RC_ASSERT(rules_of(second, "base") == after);

    std::set<std::uint64_t> handles;
    for (const ListedRule& rule : first.chain("base")->rules) handles.insert(rule.handle);
    std::size_t kept = 0;
    for (const ListedRule& rule : second.chain("base")->rules) kept += handles.count(rule.handle);
    RC_ASSERT(kept == longest_common_run(before, after));
    RC_ASSERT(must(changes(table_name, &second, {{"base", std::nullopt, after}}, Extent::whole_table)).empty());
}

TEST(Transaction, TakingTheFirstOfManyAwayIsOneCommand) {
    std::vector<Rule> rules;
    rules.reserve(200);
    for (int i = 0; i < 200; ++i) rules.push_back(sample(i, 22));
    FakeNft nft;
    make(nft, {{"base", std::nullopt, rules}});
    const Table table = look(nft);
    rules.erase(rules.begin());
    const Json commands = must(changes(table_name, &table, {{"base", std::nullopt, rules}}, Extent::whole_table));
    ASSERT_EQ(commands.size(), 1U);
    EXPECT_EQ(commands[0]["delete"]["rule"]["handle"], table.chain("base")->rules[0].handle);
}

TEST(Transaction, AChainWithAnotherHookIsMadeAnewAndAPolicyIsSet) {
    const Hook forward{"filter", "forward", 0, "accept"};
    const Chain wanted{"forward", forward, {sample(1, 22)}};
    for (const Hook& meddled : {Hook{"filter", "forward", 0, "drop"}, Hook{"filter", "input", 0, "accept"},
                                Hook{"filter", "forward", 10, "accept"}}) {
        FakeNft nft;
        make(nft, {{"forward", meddled, wanted.rules}});
        const auto handle = look(nft).chain("forward")->rules[0].handle;
        make(nft, {wanted});
        const Table after = look(nft);
        EXPECT_EQ(after.chain("forward")->hook, forward);
        EXPECT_EQ(rules_of(after, "forward"), wanted.rules);
        EXPECT_EQ(after.chain("forward")->rules[0].handle == handle, meddled.policy == "drop");
    }
}

TEST(Transaction, StrangersInOurTableGoWithTheRulesThatNameThem) {
    FakeNft nft;
    make(nft,
         {{"base", std::nullopt, {sample(1, 22), {"detour", "jump evil"}}}, {"evil", std::nullopt, {sample(2, 23)}}});
    ASSERT_TRUE(
        nft.run(Json::parse(R"([{"add": {"counter": {"family": "bridge", "table": "safe-atlas", "name": "spy"}}}])"),
                Api::Run::commit));
    nft.set_dormant(table_name);
    const Table before = look(nft);
    EXPECT_TRUE(before.flagged);
    EXPECT_EQ(before.objects.size(), 1U);
    make(nft, {{"base", std::nullopt, {sample(1, 22)}}});
    const Table after = look(nft);
    EXPECT_FALSE(after.flagged);
    EXPECT_TRUE(after.objects.empty());
    EXPECT_EQ(after.chains.size(), 1U);
    EXPECT_EQ(rules_of(after, "base"), std::vector<Rule>{sample(1, 22)});
}

TEST(Transaction, ARuleThatCannotBeReadStopsEverything) {
    const auto commands =
        changes(table_name, nullptr, {{"base", std::nullopt, {{"odd", "reject with tcp reset"}}}}, Extent::whole_table);
    ASSERT_FALSE(commands);
    EXPECT_EQ(commands.error().object, "reject with tcp reset");
}

TEST(Transaction, OneOfTenThousandRulesMovesWithTwoCommands) {
    std::vector<Rule> rules;
    rules.reserve(10000);
    for (int i = 0; i < 10000; ++i) rules.push_back(sample(i, 22));
    FakeNft nft;
    make(nft, {{"base", std::nullopt, rules}});
    const Table table = look(nft);
    std::ranges::rotate(rules, rules.begin() + 1);
    EXPECT_EQ(must(changes(table_name, &table, {{"base", std::nullopt, rules}}, Extent::whole_table)).size(), 2U);
    EXPECT_EQ(attributes_of("base", table).find("rules")->branch()->entries().size(), 10000U);
}

}  // namespace
}  // namespace safe::nftables
