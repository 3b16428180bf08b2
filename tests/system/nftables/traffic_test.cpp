// What the firewall does to real frames between hosts on a real bridge. Everything that must not pass is first seen to
// pass without the firewall, so that no test succeeds because nothing works at all.
#include <gtest/gtest.h>

#include "tests/system/nftables/firewall_fixture.hpp"
#include "tests/system/nftables/lan.hpp"
#include "tests/system/nftables/sockets.hpp"

namespace safe::test {
namespace {

using model::Mode;

constexpr const char* user = "10.78.0.9";
constexpr const char* desktop = "10.77.0.20";
constexpr const char* forge = "10.77.0.21";
constexpr const char* outside = "192.0.2.80";

class Traffic : public FirewallOnKernel {
 protected:
    void SetUp() override {
        FirewallOnKernel::SetUp();
        if (IsSkipped()) return;
        NEEDS_BRIDGE_TRACKING();
        lan = std::make_unique<Lan>(spec);
        lan->behind("gateway", "person", "10.78.0.1", user);
        lan->in("person", [] { shell("ip address add 10.78.1.9/32 dev eth0"); });
        lan->in("gateway", [] { shell("ip route add 10.78.1.0/24 dev tunnel"); });
        for (const char* vm : {"desktop", "forge", "records"})
            lan->in(vm, [] { shell("ip route add 10.78.0.0/23 via 10.77.0.2 && ip route add default via 10.77.0.1"); });
        shell("ip link set lo up && ip address add 192.0.2.80/32 dev lo");
    }

    std::unique_ptr<Lan> lan;
};

TEST_F(Traffic, PeopleGetInOnlyWhileOpenAndAConnectionEndsWithItsRule) {
    const Socket ssh = listening(*lan, "desktop", desktop, 22);
    converge(Mode::closed);
    EXPECT_TRUE(connection(*lan, "person", user, ssh, desktop, 22, never).empty());
    converge(Mode::open);
    const auto ends = connection(*lan, "person", user, ssh, desktop, 22, soon);
    ASSERT_EQ(ends.size(), 2U);
    ends[0].say("hello");
    ends[1].say("welcome");
    EXPECT_TRUE(ends[1].hears("hello", soon));
    EXPECT_TRUE(ends[0].hears("welcome", soon));

    converge(Mode::closed);
    ends[0].say("anybody?");
    ends[1].say("come back");
    EXPECT_FALSE(ends[1].hears("anybody?", never));
    EXPECT_FALSE(ends[0].hears("come back", never));
    converge(Mode::open);
    EXPECT_TRUE(ends[1].hears("anybody?", 4 * soon));
}

/// How many the kernel tracks from one place to a port of another.
std::size_t tracked(const char* from, const char* to, std::uint16_t port) {
    std::size_t count = 0;
    const auto looked = nftables::make_kernel_connections()->forget([&](const nftables::Connection& one) {
        if (to_text(one.source) == from && to_text(one.destination) == to && one.port == port) ++count;
        return false;
    });
    if (!looked) throw std::runtime_error(to_text(looked.error()));
    return count;
}

TEST_F(Traffic, AnEntryOfTrackingGoesWithItsRuleAndWhatIsStillAllowedGoesOn) {
    spec.firewall.push_back(sample_rule("watch", "super-users", "desktop", {"tcp/8022"}));
    const Socket ssh = listening(*lan, "desktop", desktop, 22);
    const Socket look = listening(*lan, "records", "10.77.0.4", 22);
    converge(Mode::closed);
    converge(Mode::open);
    const auto ends = connection(*lan, "person", user, ssh, desktop, 22, soon);
    const auto others = connection(*lan, "person", "10.78.1.9", look, "10.77.0.4", 22, soon);
    ASSERT_EQ(ends.size(), 2U);
    ASSERT_EQ(others.size(), 2U);
    EXPECT_EQ(tracked(user, desktop, 22), 1U);
    EXPECT_EQ(tracked("10.78.1.9", "10.77.0.4", 22), 1U);
    converge(Mode::closed);
    EXPECT_EQ(tracked(user, desktop, 22), 0U);
    EXPECT_EQ(tracked("10.78.1.9", "10.77.0.4", 22), 1U);
    others[1].say("still here");
    EXPECT_TRUE(others[0].hears("still here", soon));
}

TEST_F(Traffic, AConnectionThatAnotherRuleStillAllowsIsTakenUpAgain) {
    spec.firewall.push_back(sample_rule("twice", "super-users", "records", {"tcp/22"}));
    const Socket look = listening(*lan, "records", "10.77.0.4", 22);
    converge(Mode::closed);
    converge(Mode::open);
    const auto ends = connection(*lan, "person", "10.78.1.9", look, "10.77.0.4", 22, soon);
    ASSERT_EQ(ends.size(), 2U);
    converge(Mode::closed);
    EXPECT_EQ(tracked("10.78.1.9", "10.77.0.4", 22), 0U);
    ends[0].say("hello");
    EXPECT_TRUE(ends[1].hears("hello", 4 * soon));
    ends[1].say("welcome");
    EXPECT_TRUE(ends[0].hears("welcome", 4 * soon));
}

TEST_F(Traffic, NfsIsReachedByThoseWhoMountSomethingWhileOpen) {
    add_mounts(spec);
    const Socket nfs = listening(*lan, "", "10.77.0.1", 2049);
    EXPECT_FALSE(connection(*lan, "records", "10.77.0.4", nfs, "10.77.0.1", 2049, soon).empty());
    converge(Mode::closed);
    EXPECT_TRUE(connection(*lan, "desktop", desktop, nfs, "10.77.0.1", 2049, never).empty());
    converge(Mode::open);
    EXPECT_FALSE(connection(*lan, "desktop", desktop, nfs, "10.77.0.1", 2049, soon).empty());
    EXPECT_TRUE(connection(*lan, "records", "10.77.0.4", nfs, "10.77.0.1", 2049, never).empty());
}

TEST_F(Traffic, NothingElseGetsThrough) {
    const Socket ssh = listening(*lan, "desktop", desktop, 22);
    const Socket http = listening(*lan, "desktop", desktop, 80);
    const Socket back = listening(*lan, "person", user, 22);
    ASSERT_FALSE(connection(*lan, "person", user, http, desktop, 80, soon).empty());
    ASSERT_FALSE(connection(*lan, "desktop", desktop, back, user, 22, soon).empty());
    ASSERT_FALSE(connection(*lan, "forge", forge, ssh, desktop, 22, soon).empty());
    ASSERT_FALSE(connection(*lan, "", "10.77.0.1", ssh, desktop, 22, soon).empty());
    converge(Mode::open);
    EXPECT_TRUE(connection(*lan, "person", user, http, desktop, 80, never).empty());
    EXPECT_TRUE(connection(*lan, "desktop", desktop, back, user, 22, never).empty());
    EXPECT_TRUE(connection(*lan, "forge", forge, ssh, desktop, 22, never).empty());
    EXPECT_TRUE(connection(*lan, "person", "10.78.1.9", ssh, desktop, 22, never).empty());
    EXPECT_TRUE(connection(*lan, "", "10.77.0.1", ssh, desktop, 22, never).empty());
    EXPECT_FALSE(connection(*lan, "person", user, ssh, desktop, 22, soon).empty());
}

TEST_F(Traffic, TheOutsideIsReachedThroughTheHypervisorByThoseWhoMay) {
    const Socket proxy = listening(*lan, "", outside, 3128);
    lan->in("desktop", [] { shell("ip address add 10.77.0.21/32 dev eth0"); });
    converge(Mode::open);
    const auto ends = connection(*lan, "forge", forge, proxy, outside, 3128, soon);
    ASSERT_EQ(ends.size(), 2U);
    ends[0].say("get");
    EXPECT_TRUE(ends[1].hears("get", soon));
    EXPECT_TRUE(connection(*lan, "desktop", desktop, proxy, outside, 3128, never).empty());
    EXPECT_TRUE(connection(*lan, "desktop", forge, proxy, outside, 3128, never).empty());
}

TEST_F(Traffic, FragmentsPassAndSoDoesTheNewsThatTheTunnelIsNarrow) {
    const Socket service = bound(*lan, "forge", SOCK_DGRAM, forge, 5004);
    const Socket person = bound(*lan, "person", SOCK_DGRAM, user, 6000);
    converge(Mode::open);
    const sockaddr_in there = endpoint(forge, 5004);
    const sockaddr_in here = endpoint(user, 6000);
    ASSERT_EQ(connect(person.get(), plain(there), sizeof there), 0);
    ASSERT_EQ(connect(service.get(), plain(here), sizeof here), 0);
    const std::string big(4000, 'x');
    person.say(big);
    EXPECT_TRUE(service.hears(big, soon));
    // Linux forbids fragmentation until it hears how narrow the way is: from the gateway, which is not the one it talks
    // to.
    const std::string fits_the_bridge(1400, 'y');
    service.say(fits_the_bridge);
    EXPECT_FALSE(person.hears(fits_the_bridge, never));
    EXPECT_EQ(service.pending_error(), EMSGSIZE);
    service.say(fits_the_bridge);
    EXPECT_TRUE(person.hears(fits_the_bridge, soon));
}

std::string bytes(const std::string& hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); ++i) {
        if (hex[i] == ' ' || hex[i] == ':') continue;
        out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
        ++i;
    }
    return out;
}

TEST_F(Traffic, ForgedFramesReachNobody) {
    const std::string all = "ff:ff:ff:ff:ff:ff ";
    const std::string me = specs::mac_of("atlas", "forge") + " ";
    const std::string other = specs::mac_of("atlas", "desktop") + " ";
    const std::string arp = "0806 0001 0800 06 04 ";
    const std::string mine = "0a4d0015 ";     // 10.77.0.21
    const std::string routers = "0a4d0001 ";  // 10.77.0.1
    const std::string target = "00:00:00:00:00:00 0a4d0014 ";
    const std::string udp_from_67 = "0800 4500 0020 0000 4000 40 11 0000 0a4d0015 ffffffff 0043 0044 000c 0000 ";
    const std::map<std::string, std::string> forged{
        {"an ARP reply for the router", all + me + arp + "0002 " + me + routers + target},
        {"an ARP reply with another's MAC inside", all + me + arp + "0002 " + other + mine + target},
        {"a frame from another's MAC", all + other + arp + "0001 " + other + mine + target},
        {"ARP with lengths of its own", all + me + "0806 0001 0800 08 04 0001 " + me + "0000 " + mine + target},
        {"a VLAN tag", all + me + "8100 0005 " + arp + "0001 " + me + mine + target},
        {"a priority tag", all + me + "8100 e000 " + arp + "0001 " + me + mine + target},
        {"two tags", all + me + "88a8 0005 8100 0006 " + arp + "0001 " + me + mine + target},
        {"an IPv6 router advertisement", "33:33:00:00:00:01 " + me +
                                             "86dd 60000000 0010 3a ff fe80000000000000 0000000000000001 "
                                             "ff020000000000000000000000000001 8600 0000 4000 0708 00000000 00000000"},
        {"a DHCP offer", all + me + udp_from_67},
        {"IPv4 from another address",
         all + me + "0800 4500 0020 0000 4000 40 11 0000 0a4d0004 ffffffff 0007 0007 000c 0000 "},
        {"something else altogether", all + me + "88cc 0207 "},
    };
    const std::string honest = all + me + arp + "0001 " + me + mine + target;

    const Wire sender(*lan, "forge", "eth0");
    const Wire receiver(*lan, "desktop", "eth0");
    const Wire hypervisor(*lan, "", "br-atlas");
    const auto arrive = [&](const std::string& hex, const std::string& mark, std::chrono::milliseconds limit) {
        sender.put(bytes(hex) + mark + std::string(40, '\0'));
        const bool desktop_sees = receiver.sees(mark, limit);
        return std::pair(desktop_sees, hypervisor.sees(mark, desktop_sees ? limit : 100ms));
    };
    int number = 0;
    const auto next_mark = [&] { return "MARK" + std::to_string(++number) + "."; };
    for (const auto& [what, hex] : forged) EXPECT_EQ(arrive(hex, next_mark(), soon), std::pair(true, true)) << what;
    converge(Mode::open);
    for (const auto& [what, hex] : forged) EXPECT_EQ(arrive(hex, next_mark(), 300ms), std::pair(false, false)) << what;
    EXPECT_EQ(arrive(honest, next_mark(), soon), std::pair(true, true));
}

TEST_F(Traffic, DhcpReachesTheHypervisorAndNoOtherVm) {
    const std::string discover = "ff:ff:ff:ff:ff:ff " + specs::mac_of("atlas", "forge") +
                                 " 0800 4500 0030 0000 4000 40 11 0000 00000000 ffffffff 0044 0043 001c 0000 ";
    std::string frame = bytes(discover);
    // RFC 1071: the header's checksum makes the sum of its words ffff. Without it the bridge's tracking calls the
    // packet invalid.
    std::uint32_t sum = 0;
    for (std::size_t i = 14; i < 34; i += 2)
        sum += static_cast<std::uint32_t>(static_cast<unsigned char>(frame[i])) << 8 |
               static_cast<unsigned char>(frame[i + 1]);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    frame[24] = static_cast<char>(sum >> 8);
    frame[25] = static_cast<char>(sum & 0xff);
    const Wire sender(*lan, "forge", "eth0");
    const Wire neighbour(*lan, "desktop", "eth0");
    const Wire hypervisor(*lan, "", "br-atlas");
    sender.put(frame + "DISCOVER-BEFORE.....");
    ASSERT_TRUE(neighbour.sees("DISCOVER-BEFORE", soon));
    converge(Mode::closed);
    sender.put(frame + "DISCOVER-AFTER......");
    EXPECT_TRUE(hypervisor.sees("DISCOVER-AFTER", soon));
    EXPECT_FALSE(neighbour.sees("DISCOVER-AFTER", 300ms));
}

TEST_F(Traffic, OtherBridgesAreLeftAlone) {
    lan->bridge("br-other", "02:00:00:00:aa:01", "172.16.0.1/24");
    lan->plug("left", "br-other", "left0", "02:00:00:00:aa:02", "172.16.0.2/24");
    lan->plug("right", "br-other", "right0", "02:00:00:00:aa:03", "172.16.0.3/24");
    converge(Mode::closed);
    const Socket web = listening(*lan, "right", "172.16.0.3", 80);
    EXPECT_FALSE(connection(*lan, "left", "172.16.0.2", web, "172.16.0.3", 80, soon).empty());
    EXPECT_FALSE(connection(*lan, "", "172.16.0.1", web, "172.16.0.3", 80, soon).empty());
}

}  // namespace
}  // namespace safe::test
