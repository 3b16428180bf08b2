#include "plugins/nftables/compile.hpp"

#include <gtest/gtest.h>

#include "specs/identity.hpp"
#include "tests/support/nftables/sample_spec.hpp"
#include "tests/unit/nftables/judge.hpp"

namespace safe::nftables {
namespace {

using model::Mode;
using test::Frame;
using test::Judge;

std::string tap(std::string_view vm) { return specs::tap_of("atlas", vm); }
std::string mac(std::string_view vm) { return specs::mac_of("atlas", vm); }

Frame with(Frame frame, const Frame& changes) {
    for (const auto& [field, value] : changes) frame[field] = value;
    return frame;
}

/// A TCP segment between two places on the bridge. "" is the hypervisor's side.
Frame tcp(std::string_view from, std::string_view source, std::string_view to, std::string_view destination,
          std::string_view port_field, int port, std::string_view state, std::string_view direction) {
    Frame frame{{"meta ibrname", "br-atlas"},
                {"ether type", "ip"},
                {"ether saddr", mac(from)},
                {"ether daddr", mac(to)},
                {"ip saddr", std::string(source)},
                {"ip daddr", std::string(destination)},
                {"ip protocol", "tcp"},
                {std::string(port_field), std::to_string(port)},
                {"ct state", std::string(state)},
                {"ct direction", std::string(direction)}};
    if (!from.empty()) frame["iifname"] = tap(from);
    if (!to.empty()) frame["oifname"] = tap(to);
    if (from.empty()) {
        frame.erase("meta ibrname");
        frame["meta obrname"] = "br-atlas";
    }
    return frame;
}

Frame opening() { return tcp("gateway", "10.78.0.9", "desktop", "10.77.0.20", "tcp dport", 22, "new", "original"); }
Frame answering() {
    return tcp("desktop", "10.77.0.20", "gateway", "10.78.0.9", "tcp sport", 22, "established", "reply");
}

TEST(Compile, ARuleLetsItsServiceThroughInItsMode) {
    const Firewall firewall = compile(test::sample_spec(), *test::sample_spec().network);
    const Judge open(firewall, Mode::open);
    EXPECT_EQ(open.through("forward", opening()), "accept users-to-desktop: tcp/22");
    EXPECT_EQ(open.through("forward", answering()), "accept users-to-desktop: tcp/22 replies");
    const Judge closed(firewall, Mode::closed);
    EXPECT_EQ(closed.through("forward", opening()), "drop implied/default-drop");
    EXPECT_EQ(closed.through("forward", answering()), "drop implied/default-drop");
    const Judge locked(firewall, Mode::locked);
    EXPECT_EQ(locked.through("forward", opening()), "drop implied/locked-from-users");
    EXPECT_EQ(locked.through("forward", answering()), "drop implied/locked-to-users");
}

TEST(Compile, ARuleForAlwaysOrLockedHoldsInThem) {
    const Firewall firewall = compile(test::sample_spec(), *test::sample_spec().network);
    const Frame look = tcp("gateway", "10.78.1.9", "records", "10.77.0.4", "tcp dport", 22, "new", "original");
    const Frame enter = tcp("gateway", "10.78.1.9", "records", "10.77.0.4", "tcp dport", 2222, "new", "original");
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked})
        EXPECT_EQ(Judge(firewall, mode).through("forward", look), "accept investigate: tcp/22");
    EXPECT_EQ(Judge(firewall, Mode::locked).through("forward", enter), "accept forensics: tcp/2222");
    EXPECT_EQ(Judge(firewall, Mode::open).through("forward", enter), "drop implied/default-drop");
}

TEST(Compile, LockingCutsUsersOffWhateverARuleForEveryModeAllows) {
    specs::SafeSpec spec = test::sample_spec();
    spec.firewall = {test::sample_rule("wide", "users", "records", {"tcp/22"}, specs::When::always)};
    const Firewall firewall = compile(spec, *spec.network);
    const Frame frame = tcp("gateway", "10.78.0.9", "records", "10.77.0.4", "tcp dport", 22, "new", "original");
    EXPECT_EQ(Judge(firewall, Mode::closed).through("forward", frame), "accept wide: tcp/22");
    EXPECT_EQ(Judge(firewall, Mode::locked).through("forward", frame), "drop implied/locked-from-users");
}

TEST(Compile, ARangeOfAddressesDoesNotReachAWorkspaceThatSleeps) {
    specs::SafeSpec spec = test::sample_spec();
    spec.firewall = {test::sample_rule("logs", "10.77.0.0/24", "records", {"tcp/514"}, specs::When::always)};
    const Firewall firewall = compile(spec, *spec.network);
    const Frame reply = tcp("records", "10.77.0.4", "desktop", "10.77.0.20", "tcp sport", 514, "established", "reply");
    EXPECT_EQ(Judge(firewall, Mode::closed).through("forward", reply), "drop implied/default-drop");
}

TEST(Compile, AVmIsJudgedByItsPortTooWhateverItsBridgeIsCalled) {
    const specs::SafeSpec spec = test::sample_spec();
    const Judge judge(compile(spec, *spec.network), Mode::open);
    EXPECT_EQ(judge.through("prerouting", with(opening(), {{"meta ibrname", "br-other"}, {"ip saddr", "192.0.2.1"}})),
              "drop implied/no-other-sources");
}

TEST(Compile, LinkLocalFramesEndBeforeTheBridgeLearnsTheirSender) {
    const specs::SafeSpec spec = test::sample_spec();
    const Judge judge(compile(spec, *spec.network), Mode::open);
    EXPECT_EQ(judge.through("input", with(opening(), {{"ether daddr", "01:80:c2:00:00:0e"}})),
              "drop implied/no-link-local");
}

TEST(Compile, ConnectionsOpenInOneDirectionOnly) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    EXPECT_EQ(open.through("forward", with(answering(), {{"ct state", "new"}, {"ct direction", "original"}})),
              "drop implied/default-drop");
    EXPECT_EQ(open.through("forward", with(opening(), {{"ct direction", "reply"}, {"ct state", "established"}})),
              "drop implied/default-drop");
    EXPECT_EQ(open.through("forward", with(opening(), {{"ct state", "invalid"}})), "drop implied/invalid");
}

TEST(Compile, AnotherServicePlaceOrSenderIsDropped) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    const std::vector<Frame> changes{
        {{"tcp dport", "23"}},
        {{"ip saddr", "10.78.1.9"}},                                 // super-users, whom this rule does not name
        {{"ip daddr", "10.77.0.21"}},                                // to another address behind the same port
        {{"oifname", tap("forge")}, {"ether daddr", mac("forge")}},  // to another port
    };
    for (const Frame& change : changes)
        EXPECT_EQ(open.through("forward", with(opening(), change)), "drop implied/default-drop")
            << change.begin()->first;
}

TEST(Compile, AVmIsBoundToItsPort) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    const std::vector<Frame> changes{
        {{"ether saddr", mac("forge")}}, {{"iifname", tap("forge")}},  // users behind another VM than the gateway
        {{"ip saddr", "10.77.0.20"}},    {{"ip saddr", "192.0.2.1"}},
        {{"iifname", "eth1"}},           {{"iifname", tap("stranger")}, {"ether saddr", mac("stranger")}},
    };
    for (const Frame& change : changes)
        EXPECT_EQ(open.through("forward", with(opening(), change)), "drop implied/no-other-sources")
            << change.begin()->second;
    EXPECT_EQ(open.through("forward", with(opening(), {{"ether type", "8021q"}})), "drop implied/no-vlan");
    EXPECT_EQ(open.through("forward", with(opening(), {{"ether type", "8021ad"}})), "drop implied/no-vlan");
}

TEST(Compile, ArpOnlyWithTheSendersOwnAddresses) {
    const Judge closed(compile(test::sample_spec(), *test::sample_spec().network), Mode::closed);
    const Frame request{{"meta ibrname", "br-atlas"},
                        {"iifname", tap("forge")},
                        {"oifname", tap("desktop")},
                        {"ether type", "arp"},
                        {"ether saddr", mac("forge")},
                        {"arp htype", "1"},
                        {"arp ptype", "ip"},
                        {"arp hlen", "6"},
                        {"arp plen", "4"},
                        {"arp operation", "request"},
                        {"arp saddr ether", mac("forge")},
                        {"arp saddr ip", "10.77.0.21"},
                        {"ct state", "untracked"}};
    EXPECT_EQ(closed.through("forward", request), "accept implied/arp");
    EXPECT_EQ(closed.through("forward", with(request, {{"arp operation", "reply"}})), "accept implied/arp");
    EXPECT_EQ(closed.through("input", with(request, {{"arp saddr ip", "0.0.0.0"}})), "accept implied/arp");
    for (const Frame& forged : std::vector<Frame>{{{"arp saddr ip", "10.77.0.1"}},
                                                  {{"arp saddr ether", mac("desktop")}},
                                                  {{"ether saddr", mac("desktop")}},
                                                  {{"arp hlen", "8"}}})
        EXPECT_EQ(closed.through("forward", with(request, forged)), "drop implied/no-other-sources");
}

TEST(Compile, DhcpWithTheSafesOwnServerOnly) {
    const Judge closed(compile(test::sample_spec(), *test::sample_spec().network), Mode::closed);
    const Frame discover{{"meta ibrname", "br-atlas"},
                         {"iifname", tap("forge")},
                         {"ether type", "ip"},
                         {"ether saddr", mac("forge")},
                         {"ether daddr", "ff:ff:ff:ff:ff:ff"},
                         {"ip saddr", "0.0.0.0"},
                         {"ip daddr", "255.255.255.255"},
                         {"udp sport", "68"},
                         {"udp dport", "67"},
                         {"ct state", "new"},
                         {"ct direction", "original"}};
    EXPECT_EQ(closed.through("input", discover), "accept implied/dhcp-requests");
    EXPECT_EQ(closed.through("forward", with(discover, {{"oifname", tap("desktop")}})), "drop implied/default-drop");
    const Frame answer{{"meta obrname", "br-atlas"}, {"oifname", tap("forge")}, {"ether type", "ip"},
                       {"ip saddr", "10.77.0.1"},    {"udp sport", "67"},       {"udp dport", "68"}};
    EXPECT_EQ(closed.through("output", answer), "accept implied/dhcp-answers");
    const Frame rogue = with(discover, {{"ip saddr", "10.77.0.21"}, {"udp sport", "67"}, {"udp dport", "68"}});
    EXPECT_EQ(closed.through("forward", with(rogue, {{"oifname", tap("desktop")}})), "drop implied/no-dhcp-server");
}

TEST(Compile, NoIpv6AndNoRedirects) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    const Frame router{{"meta ibrname", "br-atlas"},
                       {"iifname", tap("forge")},
                       {"ether type", "ip6"},
                       {"ether saddr", mac("forge")},
                       {"ct state", "untracked"}};
    for (const char* hook : {"forward", "input"}) EXPECT_EQ(open.through(hook, router), "drop implied/no-ipv6");
    Frame redirect = opening();
    redirect.erase("tcp dport");
    EXPECT_EQ(open.through("forward", with(redirect, {{"icmp type", "redirect"}, {"ct state", "related"}})),
              "drop implied/no-redirects");
}

TEST(Compile, TheOutsideIsReachedThroughTheHypervisor) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    const Frame out = tcp("forge", "10.77.0.21", "", "192.0.2.80", "tcp dport", 3128, "new", "original");
    EXPECT_EQ(open.through("input", out), "accept updates: tcp/3128");
    EXPECT_EQ(
        open.through("output", tcp("", "192.0.2.80", "forge", "10.77.0.21", "tcp sport", 3128, "established", "reply")),
        "accept updates: tcp/3128 replies");
    EXPECT_EQ(
        open.through("output", tcp("", "192.0.2.81", "forge", "10.77.0.21", "tcp sport", 3128, "established", "reply")),
        "drop implied/default-drop");
    // The same packet given to another VM, which could carry it out, is another matter.
    EXPECT_EQ(open.through("forward", with(out, {{"oifname", tap("gateway")}, {"ether daddr", mac("gateway")}})),
              "drop implied/default-drop");
    EXPECT_EQ(open.through("input", with(out, {{"ip daddr", "10.77.0.1"}})), "drop implied/default-drop");
}

TEST(Compile, ErrorsAboutAllowedConnectionsPassWhoeverReportsThem) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    Frame too_big = with(opening(), {{"ip saddr", "10.77.0.2"},
                                     {"ip protocol", "icmp"},
                                     {"ct state", "related"},
                                     {"icmp type", "destination-unreachable"}});
    too_big.erase("tcp dport");
    EXPECT_EQ(open.through("forward", too_big), "accept users-to-desktop: errors");
    EXPECT_EQ(open.through("forward", with(too_big, {{"ct state", "new"}})), "drop implied/default-drop");
}

TEST(Compile, PingIsItsRequestAndItsReply) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    Frame ping = tcp("gateway", "10.78.0.9", "forge", "10.77.0.21", "icmp type", 0, "new", "original");
    ping = with(ping, {{"ip protocol", "icmp"}, {"icmp type", "echo-request"}});
    EXPECT_EQ(open.through("forward", ping), "accept users-to-forge: icmp");
    EXPECT_EQ(open.through("forward", with(ping, {{"icmp type", "timestamp-request"}})), "drop implied/default-drop");
}

TEST(Compile, FramesOfOtherBridgesAreNoneOfItsBusiness) {
    const Judge open(compile(test::sample_spec(), *test::sample_spec().network), Mode::open);
    const Frame foreign =
        with(opening(), {{"meta ibrname", "br-other"}, {"iifname", "vnet7"}, {"ether type", "8021q"}});
    for (const char* hook : {"forward", "input"}) EXPECT_EQ(open.through(hook, foreign), "accept by policy");
    EXPECT_EQ(open.through("output", {{"meta obrname", "br-other"}, {"oifname", "vnet7"}}), "accept by policy");
}

TEST(Compile, AnAddressOfTheFileIsFoundWhereverItLies) {
    specs::SafeSpec spec = test::sample_spec();
    spec.firewall = {test::sample_rule("all", "10.77.0.0/24", "0.0.0.0/0", {"tcp/80"})};
    const Firewall firewall = compile(spec, *spec.network);
    ASSERT_TRUE(firewall.refusals.empty());
    const Judge open(firewall, Mode::open);
    EXPECT_EQ(open.through("forward",
                           tcp("forge", "10.77.0.21", "desktop", "10.77.0.20", "tcp dport", 80, "new", "original")),
              "accept all: tcp/80, forge to desktop");
    EXPECT_EQ(
        open.through("forward", tcp("forge", "10.77.0.21", "gateway", "10.78.1.7", "tcp dport", 80, "new", "original")),
        "accept all: tcp/80, forge to @super-users");
    EXPECT_EQ(open.through("input", tcp("forge", "10.77.0.21", "", "203.0.113.9", "tcp dport", 80, "new", "original")),
              "accept all: tcp/80, forge to @outside");
    EXPECT_EQ(open.through("output", tcp("", "10.77.0.1", "forge", "10.77.0.21", "tcp dport", 80, "new", "original")),
              "accept all: tcp/80, @hypervisor to forge");
    EXPECT_EQ(
        open.through("forward", tcp("gateway", "10.78.0.9", "forge", "10.77.0.21", "tcp dport", 80, "new", "original")),
        "drop implied/default-drop");
}

TEST(Compile, NfsIsReachedByThoseWhoMountSomethingWhileOpen) {
    specs::SafeSpec spec = test::sample_spec();
    test::add_mounts(spec);
    const Firewall firewall = compile(spec, *spec.network);
    const Frame ask = tcp("desktop", "10.77.0.20", "", "10.77.0.1", "tcp dport", 2049, "new", "original");
    const Frame answer = tcp("", "10.77.0.1", "desktop", "10.77.0.20", "tcp sport", 2049, "established", "reply");
    const Judge open(firewall, Mode::open);
    EXPECT_EQ(open.through("input", ask), "accept implied/nfs/desktop: tcp/2049");
    EXPECT_EQ(open.through("output", answer), "accept implied/nfs/desktop: tcp/2049 replies");
    for (const Mode mode : {Mode::closed, Mode::locked}) {
        const Judge judge(firewall, mode);
        EXPECT_EQ(judge.through("input", ask), "drop implied/default-drop");
        EXPECT_EQ(judge.through("output", answer), "drop implied/default-drop");
    }
    const Frame records = tcp("records", "10.77.0.4", "", "10.77.0.1", "tcp dport", 2049, "new", "original");
    EXPECT_EQ(open.through("input", records), "drop implied/default-drop");
    EXPECT_EQ(open.through("input", with(ask, {{"tcp dport", "111"}})), "drop implied/default-drop");
    EXPECT_EQ(open.through("input", with(ask, {{"ip daddr", "192.0.2.80"}})), "drop implied/default-drop");
    EXPECT_EQ(open.through("output", with(answer, {{"ct state", "new"}, {"ct direction", "original"}})),
              "drop implied/default-drop");
    EXPECT_EQ(firewall.labels.at("implied/nfs/desktop"), "desktop reaches NFS on the hypervisor: tcp/2049");
}

TEST(Compile, TheDirectoryIsReachedByGatewayWorkspaceAndHypervisor) {
    specs::SafeSpec spec = test::sample_spec();
    test::add_services(spec);
    const Firewall firewall = compile(spec, *spec.network);
    const auto ask = [](const char* from, const char* address, int port = 636) {
        return tcp(from, address, "accounts", "10.77.0.3", "tcp dport", port, "new", "original");
    };
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked}) {
        const Judge judge(firewall, mode);
        EXPECT_EQ(judge.through("forward", ask("gateway", "10.77.0.2")), "accept implied/directory/gateway: tcp/636");
        EXPECT_EQ(judge.through("output", ask("", "10.77.0.1")), "accept implied/directory/@hypervisor: tcp/636");
        EXPECT_EQ(judge.through("forward", ask("desktop", "10.77.0.20")),
                  mode == Mode::open ? "accept implied/directory/desktop: tcp/636" : "drop implied/default-drop");
        EXPECT_EQ(judge.through("forward", ask("records", "10.77.0.4")), "drop implied/default-drop");
        EXPECT_EQ(judge.through("forward", ask("gateway", "10.77.0.2", 389)), "drop implied/default-drop");
    }
}

TEST(Compile, TheDirectoryIsFoundByItsAddressAndPortAndElsewhereNothingIsImplied) {
    specs::SafeSpec spec = test::sample_spec();
    test::add_services(spec);
    const auto allowed = [&](const char* url, int port) {
        spec.directory->ldap = {url};
        const Judge judge(compile(spec, *spec.network), Mode::closed);
        return judge
            .through("forward",
                     tcp("gateway", "10.77.0.2", "accounts", "10.77.0.3", "tcp dport", port, "new", "original"))
            .starts_with("accept");
    };
    EXPECT_TRUE(allowed("ldaps://10.77.0.3:3636/", 3636));
    EXPECT_TRUE(allowed("ldap://10.77.0.3", 389));
    for (const char* url : {"ldapi://", "ldaps://10.77.0.99", "ldaps://accounts", "ldaps://10.77.0.3:99999", ""})
        EXPECT_FALSE(allowed(url, 636)) << url;
}

TEST(Compile, EveryVmReachesTheMonitorsLogs) {
    specs::SafeSpec spec = test::sample_spec();
    test::add_services(spec);
    const Firewall firewall = compile(spec, *spec.network);
    const Judge closed(firewall, Mode::closed);
    const auto send = [](const char* from, const char* address) {
        return tcp(from, address, "monitor", "10.77.0.5", "tcp dport", 6514, "new", "original");
    };
    EXPECT_EQ(closed.through("forward", send("gateway", "10.77.0.2")), "accept implied/logs/gateway: tcp/6514");
    EXPECT_EQ(closed.through("forward", send("accounts", "10.77.0.3")), "accept implied/logs/accounts: tcp/6514");
    EXPECT_EQ(closed.through("forward", send("forge", "10.77.0.21")), "drop implied/default-drop");
    EXPECT_EQ(Judge(firewall, Mode::open).through("forward", send("forge", "10.77.0.21")),
              "accept implied/logs/forge: tcp/6514");
}

}  // namespace
}  // namespace safe::nftables
