#include "plugins/nftables/connections.hpp"

#include <gtest/gtest.h>

#include "tests/support/nftables/fake_connections.hpp"
#include "tests/support/nftables/sample_spec.hpp"

namespace safe::nftables {
namespace {

using test::tcp_connection;

constexpr const char* opening_rule =
    "iifname a oifname b ip saddr 10.78.0.0/24 ip daddr 10.77.0.20 tcp dport 22 ct direction original "
    "ct state established,new counter accept";
constexpr const char* reply_rule =
    "iifname b oifname a ip saddr 10.77.0.20 ip daddr 10.78.0.0/24 tcp sport 22 ct direction reply "
    "ct state established counter accept";

TEST(Flow, BothHalvesOfARuleDescribeTheSameConnections) {
    const auto flow = flow_of({"", opening_rule});
    ASSERT_TRUE(flow);
    EXPECT_EQ(flow, flow_of({"", reply_rule}));
    EXPECT_TRUE(matches(*flow, tcp_connection("10.78.0.9", "10.77.0.20", 22)));
    EXPECT_FALSE(matches(*flow, tcp_connection("10.78.1.9", "10.77.0.20", 22)));
    EXPECT_FALSE(matches(*flow, tcp_connection("10.78.0.9", "10.77.0.21", 22)));
    EXPECT_FALSE(matches(*flow, tcp_connection("10.78.0.9", "10.77.0.20", 23)));
    EXPECT_FALSE(matches(*flow, tcp_connection("10.77.0.20", "10.78.0.9", 22)));
    Connection udp = tcp_connection("10.78.0.9", "10.77.0.20", 22);
    udp.protocol = 17;
    EXPECT_FALSE(matches(*flow, udp));
}

TEST(Flow, PortsMayBeARangeAndPingHasNone) {
    const auto range = flow_of({"", "ip daddr 10.77.0.21 udp dport 5000-5010 counter accept"});
    ASSERT_TRUE(range);
    EXPECT_EQ(range->first_port, 5000);
    EXPECT_EQ(range->last_port, 5010);
    EXPECT_EQ(range->protocol, 17);
    EXPECT_EQ(flow_of({"", "icmp type echo-request counter accept"})->protocol, 1);
}

TEST(Flow, WhatIsNotUnderstoodIsAboutEverythingAndWhatIsNoConnectionAboutNothing) {
    EXPECT_EQ(flow_of({"", "counter accept"}), Flow{});
    EXPECT_EQ(flow_of({"", "something that nobody of ours writes"}), Flow{});
    for (const char* text : {"arp operation {reply, request} counter accept", "ether type ip6 counter drop", "counter",
                             "ip protocol icmp ct state related counter accept", "jump open"})
        EXPECT_FALSE(flow_of({"", text})) << text;
}

TEST(Turn, WhatIsGainedComesBeforeAndWhatIsLostAfter) {
    Table there;
    there.chains = {{"open", std::nullopt, {{{"r: tcp/22", opening_rule}, 1}}},
                    {"evil", std::nullopt, {{{"", "accept"}, 2}}}};
    const Flow flow = *flow_of({"", opening_rule});
    const std::string drop = "ip saddr 10.78.0.0/24 drop";
    EXPECT_EQ(turn_of(&there, {Chain{"open"}}, false).after, std::vector{flow});
    EXPECT_EQ(turn_of(nullptr, {{"open", std::nullopt, {{"r: tcp/22", opening_rule}}}}, false).before,
              std::vector{flow});
    const Turn same = turn_of(&there, {{"open", std::nullopt, {{"renamed", opening_rule}}}}, false);
    EXPECT_TRUE(same.before.empty() && same.after.empty());
    const Turn locked = turn_of(&there, {{"locked", std::nullopt, {{"cut", drop}}}}, false);
    EXPECT_TRUE(locked.before.empty());
    EXPECT_EQ(locked.after, std::vector{*flow_of({"", drop})});
    // The base is about the whole table, but for the rules of modes.
    const Turn base = turn_of(&there, {Chain{"open"}}, true);
    EXPECT_EQ(base.after, std::vector{Flow{}});
    EXPECT_EQ(turn_of(&there, {}, true).after.size(), 2U) << "all of it goes";
}

}  // namespace
}  // namespace safe::nftables
