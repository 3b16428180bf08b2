#include "plugins/nftables/rule_text.hpp"

#include <gtest/gtest.h>

#include "plugins/nftables/compile.hpp"
#include "tests/support/nftables/sample_spec.hpp"

namespace safe::nftables {
namespace {

std::string text_of(std::string_view json) { return to_rule_text(Json::parse(json)); }

TEST(RuleText, ReadsLikeNft) {
    EXPECT_EQ(text_of(R"([
        {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "sf0123456789ab"}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                   "right": {"prefix": {"addr": "10.78.0.0", "len": 24}}}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"range": [80, 90]}}},
        {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["new", "established"]}},
        {"counter": {"packets": 7, "bytes": 420}}, {"accept": null}])"),
              "iifname sf0123456789ab ip saddr 10.78.0.0/24 tcp dport 80-90 ct state established,new counter accept");
}

TEST(RuleText, IsTheSameForWhatNftWritesDifferently) {
    const auto with_right = [](std::string_view right) {
        return text_of(
            R"([{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": )" +
            std::string(right) + "}}]");
    };
    EXPECT_EQ(with_right(R"({"set": [22]})"), with_right("22"));
    EXPECT_EQ(with_right(R"({"set": [3389, 22]})"), with_right(R"({"set": [22, 3389]})"));
    EXPECT_EQ(with_right(R"({"set": [3389, 22]})"), "tcp dport {22, 3389}");
    EXPECT_EQ(text_of(R"([{"counter": null}])"), text_of(R"([{"counter": {"packets": 1, "bytes": 64}}])"));
}

TEST(RuleText, DiffersForRulesThatDiffer) {
    const std::vector<std::string> rules{
        R"([{"accept": null}])",
        R"([{"drop": null}])",
        R"([{"counter": null}, {"accept": null}])",
        R"([{"counter": "accept"}])",
        R"([{"jump": {"target": "open"}}])",
        R"([{"goto": {"target": "open"}}])",
        R"([{"jump": {"target": "open accept"}}])",
        R"([{"jump": {"target": "open"}}, {"accept": null}])",
        R"([{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}])",
        R"([{"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": "new"}}])",
        R"([{"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": "new"}}])",
        R"([{"match": {"op": "in", "left": {"ct": {"key": "state", "dir": "original"}}, "right": "new"}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "5"}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": 5}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "1-5"}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"range": [1, 5]}}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"range": ["1", "5"]}}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "{1, 5}"}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"set": [1, 5]}}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "a counter"}}])",
        R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "a"}}, {"counter": null}])",
        R"([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "1.2.3.4"}}])",
        R"([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr", "tunnel": "vxlan"}},
             "right": "1.2.3.4"}}])",
        R"([{"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "ip", "field": "saddr"}}, 1]}, "right": 1}}])",
        R"([{"limit": {"rate": 5, "per": "second"}}, {"accept": null}])",
        R"([])",
    };
    std::map<std::string, std::string> seen;
    for (const std::string& rule : rules) {
        const auto [other, fresh] = seen.emplace(text_of(rule), rule);
        EXPECT_TRUE(fresh) << rule << " and " << other->second << " are both: " << other->first;
    }
}

TEST(RuleText, EveryRuleOfASpecReadsBackAsItself) {
    const Firewall firewall = compile(test::sample_spec(), *test::sample_spec().network);
    std::vector<Chain> chains = firewall.base;
    chains.push_back(firewall.open);
    chains.push_back(firewall.locked);
    std::size_t rules = 0;
    for (const Chain& chain : chains) {
        for (const Rule& rule : chain.rules) {
            const auto read = parse_rule_text(rule.text);
            ASSERT_TRUE(read) << rule.name << ": " << rule.text;
            EXPECT_EQ(to_rule_text(*read), rule.text);
            ++rules;
        }
    }
    EXPECT_GT(rules, 50U);
}

TEST(RuleText, ReadsNothingThatItDoesNotWrite) {
    for (const std::string_view text :
         {"", " ", "accept ", "acept", "iifname", "iifname {a, b", "iifname a; drop", "tcp dport 22 23", "jump",
          "jump 5", "iifname \"a b\"", "tcp dport 99999999999999999999", "ip saddr 10.0.0.0/", "{\"accept\":null}"}) {
        const auto read = parse_rule_text(text);
        EXPECT_FALSE(read) << text << " was read as " << read->dump();
    }
}

}  // namespace
}  // namespace safe::nftables
