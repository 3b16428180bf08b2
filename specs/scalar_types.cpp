#include "specs/scalar_types.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "specs/pattern.hpp"
#include "specs/scalar_makers.hpp"

namespace safe::specs::types {
namespace {

std::string prefix_length() { return "/" + decimal_pattern(0, 32); }
std::string port_range() {
    const std::string port = decimal_pattern(1, 65535);
    return fmt::format("(?:tcp|udp)/{}(?:-{})?", port, port);
}

/// Below the directory, whichever way it is written; absolute paths are allowed where `absolute_too`.
std::optional<std::string> resolve(std::string_view written, const std::string& directory, bool absolute_too) {
    const std::filesystem::path path(written);
    if (path.is_absolute()) {
        if (!absolute_too) return std::nullopt;
        return path.lexically_normal().string();
    }
    const std::filesystem::path below = path.lexically_normal();
    if (below.empty() || *below.begin() == "..") return std::nullopt;
    return (std::filesystem::path(directory) / below).lexically_normal().string();
}

}  // namespace

Scalar<std::uint32_t> version() { return whole_number("a version of the language that this build knows", 1, 1); }

Scalar<WantedMode> mode() {
    return one_of("mode", {WantedMode::automatic, WantedMode::open, WantedMode::closed, WantedMode::locked});
}
Scalar<Suspend> suspend() { return one_of("way to suspend", {Suspend::disk, Suspend::ram}); }
Scalar<Role> role() { return one_of("role", {Role::service, Role::workspace}); }
Scalar<When> when() { return one_of("state of the safe", {When::open, When::locked, When::always}); }

Scalar<std::string> name() {
    return patterned({.name = "a name",
                      .form = "1 to 20 lower-case letters, digits and dashes, no dash at either end",
                      .pattern = anchored(label),
                      .longest = 20,
                      .valid = {"desktop", "a", "7", "web-1", "a2345678901234567890"},
                      .invalid = {"", "-a", "a-", "A", "a_b", "a.b", "a b", "é", "a23456789012345678901"}});
}

Scalar<std::string> uri() {
    return patterned({.name = "a libvirt URI",
                      .form = "one such as qemu:///system",
                      .pattern = R"(^[a-z][a-z0-9]*(?:\+[a-z0-9]+)?://[!-~]{0,200}$)",
                      .longest = 256,
                      .valid = {"qemu:///system", "xen:///system", "test:///default", "qemu+ssh://root@host/system"},
                      .invalid = {"", "qemu", "qemu:/system", "QEMU:///system", "qemu:///a b", "://x"}});
}

Scalar<std::string> bridge() {
    return patterned({.name = "a name for a bridge",
                      .form = "a letter and up to 14 letters, digits, dashes and underscores",
                      .pattern = "^[A-Za-z][A-Za-z0-9_-]{0,14}$",
                      .longest = 15,
                      .valid = {"br-atlas", "b", "abcdefghijklmno"},
                      .invalid = {"", "0br", "br.1", "br atlas", "br/atlas", "abcdefghijklmnop"}});
}

Scalar<std::string> interface() {
    return patterned({.name = "the name of an interface",
                      .form = "up to 15 letters, digits, dots, dashes and underscores",
                      .pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$",
                      .longest = 15,
                      .valid = {"eth0", "enp1s0.100"},
                      .invalid = {"", ".", "..", "-x", "eth0@if1", "eth 0", "abcdefghijklmnop"}});
}

Scalar<std::string> endpoint() {
    return patterned(
        {.name = "something a rule can name",
         .form = "a VM, users, super-users, an address or a network",
         .pattern = anchored(fmt::format("{}|{}(?:{})?", label, octets(), prefix_length())),
         .longest = 20,
         .valid = {"desktop", "users", "super-users", "192.0.2.80", "192.0.2.0/24", "0.0.0.0/0"},
         .invalid = {"", "Desktop", "192.0.2", "192.0.2.256", "192.0.2.0/33", "192.0.2.0/", "2001:db8::1"}});
}

Scalar<std::string> kernel_command_line() {
    return patterned({.name = "a kernel command line",
                      .form = "at most 2047 printable ASCII characters",
                      .pattern = "^[ -~]{0,2047}$",
                      .longest = 2047,
                      .valid = {"console=ttyS0 quiet", "", std::string(2047, 'a')},
                      .invalid = {"a\nb", "é", std::string(2048, 'a')}});
}

Scalar<std::string> include_path() {
    ScalarInfo info = path_info("a file or directory to include", "a path below the spec's own directory");
    info.pattern = R"(^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,1023}$)";
    info.valid = {"vms.yaml", "rules"};
    info.invalid.emplace_back("/srv/vms.yaml");
    const auto parse = [form = info.form](std::string_view text, const std::string& directory) -> Parsed<std::string> {
        if (is_path_text(text) && resolve(text, directory, false)) {
            return std::filesystem::path(text).lexically_normal().string();
        }
        return std::unexpected("something that can be included; write " + form);
    };
    return {std::move(info), parse};
}

Scalar<FilePath> file_path() {
    ScalarInfo info = path_info("file", "an absolute path, or one below the spec's own directory");
    info.valid.emplace_back("/srv/images/desktop.qcow2");
    const auto parse = [form = info.form](std::string_view text, const std::string& directory) -> Parsed<FilePath> {
        const auto resolved = is_path_text(text) ? resolve(text, directory, true) : std::nullopt;
        if (!resolved) return std::unexpected("a file that a spec may name; write " + form);
        return FilePath{std::string(text), *resolved};
    };
    return {std::move(info), parse};
}

Scalar<Sha256Digest> sha256() {
    const std::string digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    return valued<Sha256Digest>({.name = "SHA-256 digest",
                                 .form = "64 hexadecimal digits",
                                 .pattern = "^[0-9A-Fa-f]{64}$",
                                 .longest = 64,
                                 .valid = {digest},
                                 .invalid = {"", digest.substr(1), digest + "0", "x" + digest.substr(1)}},
                                parse_sha256);
}

Scalar<ByteSize> disk_size() { return size_between("a size for a disk", mebibyte, 1024 * tebibyte); }
Scalar<ByteSize> memory_size() { return size_between("a size for memory", 16 * mebibyte, 16 * tebibyte); }
Scalar<std::uint32_t> cpus() { return whole_number("a number of CPUs", 1, 512); }

Scalar<Ipv4> ipv4() {
    return valued<Ipv4>(
        {.name = "IPv4 address",
         .form = "four numbers from 0 to 255",
         .pattern = anchored(octets()),
         .longest = 15,
         .valid = {"10.77.0.20"},
         .invalid = {"", "10.77.0", "10.77.0.256", "10.77.0.020", "10.77.0.20/24", "10.77.0.20.1", "a"}},
        parse_ipv4);
}

Scalar<Cidr> network() {
    return valued<Cidr>({.name = "network",
                         .form = "an IPv4 network and its prefix length; no bits may be set after it",
                         .pattern = anchored(octets() + prefix_length()),
                         .longest = 18,
                         .valid = {"10.78.0.0/24", "10.78.1.128/25"},
                         .invalid = {"", "10.78.0.0", "10.78.0.0/33", "10.78.0.256/24", "10.78.0.0/", "10.78.0.0/024"}},
                        parse_network);
}

Scalar<Cidr> interface_address() {
    return valued<Cidr>({.name = "address with prefix length",
                         .form = "an IPv4 address and the prefix length of its network",
                         .pattern = anchored(octets() + prefix_length()),
                         .longest = 18,
                         .valid = {"10.77.0.1/24"},
                         .invalid = {"", "10.77.0.1", "10.77.0.1/33", "10.77.0.300/24", "10.77.0.1/-1"}},
                        parse_interface_address);
}

Scalar<Service> service() {
    return valued<Service>(
        {.name = "service",
         .form = "tcp/443, udp/5000-5010 or icmp (echo requests)",
         .pattern = anchored(port_range() + "|icmp"),
         .longest = 15,
         .valid = {"tcp/443", "udp/5000-5010", "icmp", "tcp/1", "udp/65535"},
         .invalid = {"", "443", "tcp", "tcp/", "tcp/0", "tcp/65536", "TCP/1", "sctp/1", "tcp/1-", "icmp/8"}},
        parse_service);
}

Scalar<Service> port() {
    Scalar<Service> type = service();
    type.info.name = "port";
    type.info.form = "tcp/443 or udp/1194";
    type.info.pattern = anchored(port_range());
    type.info.valid = {"udp/1194", "tcp/443", "udp/5000-5010"};
    type.info.invalid.emplace_back("icmp");
    type.parse = [](std::string_view text, const std::string&) -> Parsed<Service> {
        auto parsed = parse_service(text);
        if (parsed && parsed->protocol == Service::Protocol::icmp) {
            return std::unexpected("a port; write tcp/443 or udp/1194");
        }
        return parsed;
    };
    return type;
}

Scalar<bool> boolean() {
    const auto parse = [](std::string_view text, const std::string&) -> Parsed<bool> {
        // The core schema of YAML 1.2.2, section 10.3.2.
        if (text == "true" || text == "True" || text == "TRUE") return true;
        if (text == "false" || text == "False" || text == "FALSE") return false;
        return std::unexpected("true or false");
    };
    return {{.name = "true or false",
             .form = "true or false",
             .kind = ScalarInfo::Kind::boolean,
             .valid = {"true", "false"}},
            parse};
}

Scalar<Duration> linger() { return time_between("a time to linger", 0, 86400); }
Scalar<Duration> deadline() { return time_between("a deadline", 1, 86400); }

Scalar<std::string> mount_path() {
    return patterned({.name = "a place in a VM for a volume",
                      .form = "an absolute path of letters, digits, dots, dashes and underscores, no part of which "
                              "begins with a dot or dash",
                      .pattern = "^(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$",
                      .longest = 255,
                      .valid = {"/data", "/srv/project-1/a.b"},
                      .invalid = {"", "/", "data", "/data/", "//data", "/a/../b", "/.data", "/a b", "/-a",
                                  "/" + std::string(255, 'a')}});
}

}  // namespace safe::specs::types
