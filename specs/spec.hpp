// SafeSpec: what the operator wrote, as plain structs. Every field knows its file, line and column, so that whoever
// finds fault with it later can point at it. Made by specs/loader.hpp, judged by specs/validator.hpp; a SafeSpec that
// came through both is sound in everything the language alone can tell. Values, copied freely, no secrets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "specs/values.hpp"

namespace safe::specs {

/// Where something is written: counted from 1. An empty file means a default, not something written.
struct Position {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    auto operator<=>(const Position&) const = default;
};
/// "safe.yaml:12:3".
[[nodiscard]] std::string to_text(const Position& position);

/// A value and where it is written.
template <class T>
struct Located {
    T value{};
    Position at = {};

    const T& operator*() const { return value; }
    const T* operator->() const { return &value; }
};

enum class WantedMode { automatic, open, closed, locked };  // the operator's wish; automatic is written `auto`
enum class Suspend { disk, ram };
enum class Role { service, workspace };
enum class When { open, locked, always };

[[nodiscard]] std::string_view to_text(WantedMode mode);
[[nodiscard]] std::string_view to_text(Suspend suspend);
[[nodiscard]] std::string_view to_text(Role role);
[[nodiscard]] std::string_view to_text(When when);

struct Publish {
    Located<Service> service;  // the port on the uplink
    Located<std::string> vm;   // who gets it
};

struct Uplink {
    Position at;
    Located<std::string> interface;
    std::vector<Publish> publish;
};

struct NetworkSpec {
    Position at;
    Located<std::string> bridge;                  // 1 to 15 characters
    Located<Cidr> address;                        // the hypervisor's own
    std::optional<Located<std::string>> gateway;  // a VM
    std::optional<Located<Cidr>> users;
    std::optional<Located<Cidr>> super_users;
    std::optional<Uplink> uplink;
};

/// Direct kernel boot.
struct BootSpec {
    Position at;
    Located<FilePath> kernel;
    std::optional<Located<FilePath>> initrd;
    Located<std::string> cmdline;  // empty by default
};

struct VmSpec {
    std::string name;
    Position at;
    Located<Role> role;
    std::optional<Located<FilePath>> image;  // exactly one of image and boot
    std::optional<BootSpec> boot;
    std::optional<Located<Sha256Digest>> sha256;  // of the image
    std::optional<Located<ByteSize>> disk;        // size of the overlay; only with image; default: the image's own
    Located<ByteSize> memory;                     // whole MiB
    Located<ByteSize> memory_max;                 // default: memory
    Located<std::uint32_t> cpus;
    Located<std::uint32_t> cpus_max;       // default: cpus
    std::optional<Located<Ipv4>> address;  // its DHCP reservation; required once there is a network
};

struct RuleSpec {
    std::string name;
    Position at;
    Located<std::string> from;  // a VM, a zone (users, super-users), an address or a network
    Located<std::string> to;
    std::vector<Located<Service>> allow;
    Located<When> when;  // default: open
};

/// The vectors keep the order of the file; names in each are unique.
struct SafeSpec {
    std::string source;  // the file it was read from
    std::string digest;  // SHA-256 over the content of every file it came from, 64 hexadecimal digits
    Located<std::uint32_t> version;
    Located<std::string> safe;
    Located<WantedMode> mode;                 // default: auto
    std::optional<Located<Suspend>> suspend;  // required once there are workspace VMs
    Located<std::string> hypervisor;          // a libvirt URI; default: qemu:///system
    std::optional<NetworkSpec> network;
    std::vector<VmSpec> vms;
    std::vector<RuleSpec> firewall;

    /// nullptr when there is no such VM.
    [[nodiscard]] const VmSpec* vm(std::string_view name) const;
};

/// What a rule's `from` or `to` names.
struct Endpoint {
    enum class Kind { vm, users, super_users, address };
    Kind kind = Kind::address;
    const VmSpec* vm = nullptr;  // for vm; points into the spec
    Cidr addresses;              // for every kind; a VM's is its own /32
};
/// nullopt when the word names nothing in this spec. Order: a VM, a zone, an address or network.
[[nodiscard]] std::optional<Endpoint> resolve_endpoint(const SafeSpec& spec, std::string_view word);

}  // namespace safe::specs
