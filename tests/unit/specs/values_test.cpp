#include "specs/values.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <string_view>

namespace safe::specs {
namespace {

template <class T>
void expect_refused(const Parsed<T>& parsed, const std::string& why) {
    ASSERT_FALSE(parsed.has_value());
    EXPECT_NE(parsed.error().find(why), std::string::npos) << parsed.error();
}

TEST(ByteSize, IsWrittenWithAUnit) {
    EXPECT_EQ(parse_byte_size("8GiB"), ByteSize{std::uint64_t{8} << 30});
    EXPECT_EQ(parse_byte_size("0B"), ByteSize{0});
    EXPECT_EQ(parse_byte_size("4611686018427387904B"), ByteSize{std::uint64_t{1} << 62});
    for (const char* const text :
         {"", "8", "GiB", "8GB", "8gib", "8 GiB", "-1B", "+1B", "08GiB", "0x8B", "8.5GiB", "1e3B"}) {
        expect_refused(parse_byte_size(text), "a size; write");
    }
    for (const char* const text :
         {"4611686018427387905B", "4194305TiB", "99999999999999999999999B", "18446744073709551616B"}) {
        expect_refused(parse_byte_size(text), "at most 2^62");
    }
}

TEST(ByteSize, IsPrintedInTheLargestUnitThatFits) {
    EXPECT_EQ(to_text(ByteSize{0}), "0B");
    EXPECT_EQ(to_text(ByteSize{1536}), "1536B");
    EXPECT_EQ(to_text(ByteSize{std::uint64_t{160} << 20}), "160MiB");
    EXPECT_EQ(to_text(ByteSize{std::uint64_t{1} << 40}), "1TiB");
}

TEST(Duration, IsAtMostAWeek) {
    EXPECT_EQ(parse_duration("90s"), Duration{90});
    EXPECT_EQ(parse_duration("7d"), Duration{604800});
    expect_refused(parse_duration("8d"), "at most 7d");
    expect_refused(parse_duration("604801s"), "at most 7d");
    expect_refused(parse_duration("90"), "write a whole number");
    EXPECT_EQ(to_text(Duration{7200}), "2h");
    EXPECT_EQ(to_text(Duration{0}), "0s");
}

TEST(Ipv4, HasNoSecondSpelling) {
    EXPECT_EQ(parse_ipv4("10.77.0.20"), Ipv4{0x0A4D0014});
    for (const char* const text : {"", "10.77.0", "10.77.0.256", "10.77.0.020", "10.77.0.20.", ".10.77.0", "10..0.1",
                                   "10.77.0.1 ", "10.77.0.0x1", "10.77.0.-1", "1.2.3.4.5", "167772160"}) {
        expect_refused(parse_ipv4(text), "an IPv4 address");
    }
}

TEST(Cidr, RefusesHostBitsInANetworkOnly) {
    EXPECT_EQ(parse_network("10.77.0.0/24"), (Cidr{{0x0A4D0000}, 24}));
    EXPECT_EQ(parse_interface_address("10.77.0.1/24"), (Cidr{{0x0A4D0001}, 24}));
    expect_refused(parse_network("10.77.0.1/24"), "perhaps 10.77.0.0/24 is meant");
    for (const char* const text :
         {"10.77.0.0", "10.77.0.0/", "10.77.0.0/33", "10.77.0.0/024", "/24", "10.77.0.0/24/1"}) {
        expect_refused(parse_network(text), "a network");
        expect_refused(parse_interface_address(text), "an address with");
    }
}

TEST(Cidr, KnowsItsEnds) {
    const Cidr cidr = parse_interface_address("10.77.0.130/25").value();
    EXPECT_EQ(to_text(cidr.network()), "10.77.0.128");
    EXPECT_EQ(to_text(cidr.broadcast()), "10.77.0.255");
    const Cidr everything = parse_network("0.0.0.0/0").value();
    EXPECT_TRUE(everything.overlaps(cidr));
    EXPECT_EQ(to_text(everything.broadcast()), "255.255.255.255");
}

TEST(Service, IsAPortARangeOrIcmp) {
    EXPECT_EQ(parse_service("tcp/443"), (Service{Service::Protocol::tcp, 443, 443}));
    EXPECT_EQ(parse_service("udp/5000-5010"), (Service{Service::Protocol::udp, 5000, 5010}));
    EXPECT_EQ(parse_service("icmp"), (Service{Service::Protocol::icmp, 0, 0}));
    for (const char* const text :
         {"", "tcp", "tcp/", "tcp/0", "tcp/65536", "tcp/1-65536", "tcp/1-", "tcp/-1", "TCP/1", "icmp/8", "sctp/1"}) {
        expect_refused(parse_service(text), "a service; write");
    }
    expect_refused(parse_service("tcp/2-1"), "the smaller port comes first");
}

TEST(Portal, HasAPortOfItsOwn) {
    EXPECT_EQ(parse_portal("192.0.2.10"), (Portal{{0xC000020A}, 3260}));
    EXPECT_EQ(parse_portal("192.0.2.10:860"), (Portal{{0xC000020A}, 860}));
    EXPECT_EQ(to_text(Portal{{0xC000020A}, 3260}), "192.0.2.10:3260");
    for (const char* const text : {"", ":3260", "192.0.2.10:", "192.0.2.10:0", "192.0.2.10:65536", "192.0.2.10:03260",
                                   "192.0.2.10:3260:1", "192.0.2:3260", "[::1]:3260", "storage.example.org:3260"}) {
        expect_refused(parse_portal(text), "a portal; write");
    }
}

TEST(Sha256, IsKeptInLowerCase) {
    EXPECT_EQ(parse_sha256(std::string(64, 'A'))->hex, std::string(64, 'a'));
    expect_refused(parse_sha256(std::string(63, 'a')), "64 hexadecimal digits");
    expect_refused(parse_sha256(std::string(64, 'g')), "64 hexadecimal digits");
}

template <class Property>
void holds(const char* what, Property property) {
    EXPECT_TRUE(rc::check(what, property));
}

TEST(Values, PrintedAreReadBackTheSame) {
    holds("sizes", [](std::uint64_t bytes) {
        const ByteSize size{bytes >> 2};
        RC_ASSERT(parse_byte_size(to_text(size)).value() == size);
    });
    holds("durations", [] {
        const Duration duration{*rc::gen::inRange<std::uint32_t>(0, 604801)};
        RC_ASSERT(parse_duration(to_text(duration)).value() == duration);
    });
    holds("addresses", [](std::uint32_t value) { RC_ASSERT(parse_ipv4(to_text(Ipv4{value})).value() == Ipv4{value}); });
    holds("networks", [](std::uint32_t value) {
        const Cidr cidr{{value}, *rc::gen::inRange<std::uint8_t>(0, 33)};
        RC_ASSERT(parse_interface_address(to_text(cidr)).value() == cidr);
        RC_ASSERT(parse_network(to_text(cidr)).has_value() == (cidr.network() == cidr.address));
        RC_ASSERT(cidr.contains(cidr.network()) && cidr.contains(cidr.broadcast()));
    });
    holds("portals", [](std::uint32_t value) {
        const Portal portal{{value}, *rc::gen::inRange<std::uint16_t>(1, 65535)};
        RC_ASSERT(parse_portal(to_text(portal)).value() == portal);
    });
    holds("services", [] {
        const auto first = *rc::gen::inRange<std::uint16_t>(1, 65535);
        const auto last = *rc::gen::inRange<std::uint16_t>(first, 65535);
        const Service service{*rc::gen::element(Service::Protocol::tcp, Service::Protocol::udp), first, last};
        RC_ASSERT(parse_service(to_text(service)).value() == service);
    });
}

/// What a text is read as is also what its printed form is read as.
template <class T>
void holds_still(Parsed<T> (*parse)(std::string_view), std::string_view text) {
    if (const auto value = parse(text)) RC_ASSERT(parse(to_text(*value)).value() == *value);
}

TEST(Values, OfAnyTextEndInAVerdict) {
    const auto texts =
        rc::gen::oneOf(rc::gen::arbitrary<std::string>(),
                       rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789./-tcpudMGiBsh"))));
    holds("any text", [&] {
        const std::string text = *texts;
        holds_still(parse_byte_size, text);
        holds_still(parse_duration, text);
        holds_still(parse_ipv4, text);
        holds_still(parse_network, text);
        holds_still(parse_interface_address, text);
        holds_still(parse_service, text);
        holds_still(parse_portal, text);
        holds_still(parse_sha256, text);
    });
}

}  // namespace
}  // namespace safe::specs
