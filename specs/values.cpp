#include "specs/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

namespace safe::specs {
namespace {

std::unexpected<ParseError> not_a(std::string_view what) { return std::unexpected(ParseError(what)); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Decimal digits only, no sign, and no leading zero, which some readers take for octal.
std::optional<std::uint64_t> parse_whole(std::string_view text) {
    if (text.empty() || !std::ranges::all_of(text, is_digit)) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    std::uint64_t value = 0;
    const auto [stop, failure] = std::from_chars(text.begin(), text.end(), value);
    if (failure != std::errc{} || stop != text.end()) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> parse_whole(std::string_view text, std::uint64_t lowest, std::uint64_t highest) {
    const auto value = parse_whole(text);
    return value && *value >= lowest && *value <= highest ? value : std::nullopt;
}

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};
constexpr std::array<Unit, 5> size_units{{{"B", 1},
                                          {"KiB", std::uint64_t{1} << 10},
                                          {"MiB", std::uint64_t{1} << 20},
                                          {"GiB", std::uint64_t{1} << 30},
                                          {"TiB", std::uint64_t{1} << 40}}};
constexpr std::array<Unit, 4> time_units{{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
constexpr std::uint64_t largest_size = std::uint64_t{1} << 62;
constexpr std::uint64_t longest_time = std::uint64_t{7} * 86400;

/// nullopt when it is not a whole number and one of the units; more than `most` is given as most + 1.
template <std::size_t N>
std::optional<std::uint64_t> parse_quantity(std::string_view text, const std::array<Unit, N>& units,
                                            std::uint64_t most) {
    const auto* const letters = std::ranges::find_if_not(text, is_digit);
    const auto digits = static_cast<std::size_t>(letters - text.begin());
    const auto* const unit = std::ranges::find(units, text.substr(digits), &Unit::name);
    if (unit == units.end() || digits == 0 || (digits > 1 && text.front() == '0')) return std::nullopt;
    const auto count = parse_whole(text.substr(0, digits));
    if (!count || *count > most / unit->factor) return most + 1;
    return *count * unit->factor;
}

template <std::size_t N>
std::string quantity_text(std::uint64_t value, const std::array<Unit, N>& units) {
    const auto divides = [value](const Unit& unit) { return value != 0 && value % unit.factor == 0; };
    const auto largest = std::find_if(units.rbegin(), units.rend(), divides);
    const Unit& unit = largest == units.rend() ? units.front() : *largest;
    return fmt::format("{}{}", value / unit.factor, unit.name);
}

Parsed<Cidr> parse_cidr(std::string_view text, std::string_view what) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return not_a(what);
    const auto address = parse_ipv4(text.substr(0, slash));
    const auto prefix = parse_whole(text.substr(slash + 1), 0, 32);
    if (!address || !prefix) return not_a(what);
    return Cidr{*address, static_cast<std::uint8_t>(*prefix)};
}

std::string_view protocol_name(Service::Protocol protocol) {
    switch (protocol) {
        case Service::Protocol::tcp:
            return "tcp";
        case Service::Protocol::udp:
            return "udp";
        case Service::Protocol::icmp:
            return "icmp";
    }
    std::unreachable();
}

}  // namespace

Parsed<ByteSize> parse_byte_size(std::string_view text) {
    const auto bytes = parse_quantity(text, size_units, largest_size);
    if (!bytes) return not_a("a size; write a whole number and B, KiB, MiB, GiB or TiB, such as 8GiB");
    if (*bytes > largest_size) return not_a("a size that anything could have; at most 2^62 bytes");
    return ByteSize{*bytes};
}

std::string to_text(ByteSize size) { return quantity_text(size.bytes, size_units); }

Parsed<Duration> parse_duration(std::string_view text) {
    const auto seconds = parse_quantity(text, time_units, longest_time);
    if (!seconds) return not_a("a span of time; write a whole number and s, m, h or d, such as 90s");
    if (*seconds > longest_time) return not_a("a span of time that is allowed; at most 7d");
    return Duration{static_cast<std::uint32_t>(*seconds)};
}

std::string to_text(Duration duration) { return quantity_text(duration.seconds, time_units); }

Parsed<Ipv4> parse_ipv4(std::string_view text) {
    constexpr std::string_view what = "an IPv4 address; write four numbers from 0 to 255, such as 10.77.0.20";
    std::uint32_t value = 0;
    for (int octet = 0; octet < 4; ++octet) {
        const std::size_t dot = text.find('.');
        if ((dot == std::string_view::npos) != (octet == 3)) return not_a(what);
        const auto number = parse_whole(text.substr(0, dot), 0, 255);
        if (!number) return not_a(what);
        value = value << 8 | static_cast<std::uint32_t>(*number);
        text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
    }
    return Ipv4{value};
}

std::string to_text(Ipv4 address) {
    return fmt::format("{}.{}.{}.{}", address.value >> 24, address.value >> 16 & 255, address.value >> 8 & 255,
                       address.value & 255);
}

Parsed<Cidr> parse_network(std::string_view text) {
    const auto cidr = parse_cidr(text, "a network; write its address and prefix length, such as 10.78.0.0/24");
    if (cidr && cidr->network() != cidr->address) {
        const std::string network = to_text(Cidr{cidr->network(), cidr->prefix});
        return not_a("a network, for bits are set after its prefix; perhaps " + network + " is meant");
    }
    return cidr;
}

Parsed<Cidr> parse_interface_address(std::string_view text) {
    return parse_cidr(text, "an address with its prefix length; write it such as 10.77.0.1/24");
}

std::string to_text(const Cidr& cidr) { return fmt::format("{}/{}", to_text(cidr.address), cidr.prefix); }

Parsed<Service> parse_service(std::string_view text) {
    constexpr std::string_view what = "a service; write tcp/443, udp/5000-5010 or icmp, with ports from 1 to 65535";
    if (text == "icmp") return Service{Service::Protocol::icmp, 0, 0};
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return not_a(what);
    const std::string_view protocol = text.substr(0, slash);
    const std::string_view ports = text.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp") return not_a(what);
    const std::size_t dash = ports.find('-');
    const auto first = parse_whole(ports.substr(0, dash), 1, 65535);
    const auto last = dash == std::string_view::npos ? first : parse_whole(ports.substr(dash + 1), 1, 65535);
    if (!first || !last) return not_a(what);
    if (*last < *first) return not_a("a range of ports; the smaller port comes first");
    return Service{protocol == "tcp" ? Service::Protocol::tcp : Service::Protocol::udp,
                   static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

std::string to_text(const Service& service) {
    if (service.protocol == Service::Protocol::icmp) return "icmp";
    const std::string_view protocol = protocol_name(service.protocol);
    if (service.first_port == service.last_port) return fmt::format("{}/{}", protocol, service.first_port);
    return fmt::format("{}/{}-{}", protocol, service.first_port, service.last_port);
}

Parsed<Sha256Digest> parse_sha256(std::string_view text) {
    std::string hex(text);
    for (char& c : hex) {
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    }
    const auto is_hex = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
    if (hex.size() != 64 || !std::ranges::all_of(hex, is_hex)) {
        return not_a("a SHA-256 digest; write the 64 hexadecimal digits that sha256sum prints");
    }
    return Sha256Digest{std::move(hex)};
}

std::string to_text(const SecretRef& secret) {
    return (secret.kind == SecretRef::Kind::file ? "file " : "credential ") + secret.name;
}

Parsed<Portal> parse_portal(std::string_view text) {
    constexpr std::string_view what = "a portal; write an IPv4 address and a port, such as 192.0.2.10:3260";
    const std::size_t colon = text.find(':');
    const auto address = parse_ipv4(text.substr(0, colon));
    if (!address) return not_a(what);
    if (colon == std::string_view::npos) return Portal{.address = *address};
    const auto port = parse_whole(text.substr(colon + 1), 1, 65535);
    if (!port) return not_a(what);
    return Portal{*address, static_cast<std::uint16_t>(*port)};
}

std::string to_text(const Portal& portal) { return to_text(portal.address) + ":" + std::to_string(portal.port); }

}  // namespace safe::specs
