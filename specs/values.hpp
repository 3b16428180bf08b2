// The value types of the language: each can only hold what is valid, is parsed in one place, and prints itself the way
// it is written in a spec. Values, ordered, copied freely. Nothing here touches the system.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace safe::specs {

/// Why a text is no such value, in words that follow "is not": "a size; write a number and B, KiB, MiB, GiB or TiB".
using ParseError = std::string;
template <class T>
using Parsed = std::expected<T, ParseError>;

/// A size in bytes. Written as a whole number with B, KiB, MiB, GiB or TiB; at most 2^62.
struct ByteSize {
    std::uint64_t bytes = 0;
    auto operator<=>(const ByteSize&) const = default;
};
[[nodiscard]] Parsed<ByteSize> parse_byte_size(std::string_view text);
[[nodiscard]] std::string to_text(ByteSize size);

/// A span of time in seconds. Written as a whole number with s, m, h or d; at most 7 days.
struct Duration {
    std::uint32_t seconds = 0;
    auto operator<=>(const Duration&) const = default;
};
[[nodiscard]] Parsed<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::string to_text(Duration duration);

/// An IPv4 address (RFC 791), host byte order inside, dotted decimal outside.
struct Ipv4 {
    std::uint32_t value = 0;
    auto operator<=>(const Ipv4&) const = default;
};
[[nodiscard]] Parsed<Ipv4> parse_ipv4(std::string_view text);
[[nodiscard]] std::string to_text(Ipv4 address);

/// A network in CIDR notation (RFC 4632). As a network (10.77.0.0/24) host bits are refused; as an interface address
/// (10.77.0.1/24) they are the host's own.
struct Cidr {
    static constexpr std::uint8_t host = 32;  // the prefix of a single address
    Ipv4 address;
    std::uint8_t prefix = 0;  // 0 to 32
    auto operator<=>(const Cidr&) const = default;

    [[nodiscard]] std::uint32_t mask() const { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }
    [[nodiscard]] Ipv4 network() const { return {address.value & mask()}; }
    [[nodiscard]] Ipv4 broadcast() const { return {address.value | ~mask()}; }
    [[nodiscard]] bool contains(Ipv4 other) const { return (other.value & mask()) == (address.value & mask()); }
    [[nodiscard]] bool overlaps(const Cidr& other) const {
        return contains(other.network()) || other.contains(network());
    }
};
[[nodiscard]] Parsed<Cidr> parse_network(std::string_view text);
[[nodiscard]] Parsed<Cidr> parse_interface_address(std::string_view text);
[[nodiscard]] std::string to_text(const Cidr& cidr);

/// What a rule allows: `tcp/443`, `udp/5000-5010`, `icmp` (echo request and its reply only).
struct Service {
    enum class Protocol { tcp, udp, icmp };
    Protocol protocol = Protocol::tcp;
    std::uint16_t first_port = 0;  // 1 to 65535; 0 for icmp
    std::uint16_t last_port = 0;   // at least first_port
    auto operator<=>(const Service&) const = default;
};
[[nodiscard]] Parsed<Service> parse_service(std::string_view text);
[[nodiscard]] std::string to_text(const Service& service);

/// A SHA-256 digest (FIPS 180-4): 64 hexadecimal digits, kept in lower case.
struct Sha256Digest {
    std::string hex;
    auto operator<=>(const Sha256Digest&) const = default;
};
[[nodiscard]] Parsed<Sha256Digest> parse_sha256(std::string_view text);
[[nodiscard]] inline const std::string& to_text(const Sha256Digest& digest) { return digest.hex; }

/// A file named in a spec: absolute, or below the directory of the spec's own file (no `..` that leaves it).
struct FilePath {
    std::string written;   // as in the spec: images/desktop.qcow2
    std::string resolved;  // absolute, lexically normal: /srv/atlas/images/desktop.qcow2
    auto operator<=>(const FilePath&) const = default;
};
[[nodiscard]] inline const std::string& to_text(const FilePath& path) { return path.written; }

/// Where a secret is to be had; never the secret itself. Read by reconciler/driver/secret_source.hpp.
struct SecretRef {
    enum class Kind {
        file,
        credential
    };  // a file of root's with mode 0600; a credential of systemd's (systemd.exec(5))
    Kind kind = Kind::file;
    std::string name;  // an absolute path; a credential's name
    auto operator<=>(const SecretRef&) const = default;
};
/// "file /etc/safe/atlas/chap".
[[nodiscard]] std::string to_text(const SecretRef& secret);

/// An IPv4 address and a TCP port: 192.0.2.10:3260. Written without the port, it is iSCSI's own, 3260.
struct Portal {
    Ipv4 address;
    std::uint16_t port = 3260;
    auto operator<=>(const Portal&) const = default;
};
[[nodiscard]] Parsed<Portal> parse_portal(std::string_view text);
[[nodiscard]] std::string to_text(const Portal& portal);

}  // namespace safe::specs
