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
enum class VolumeRole { vault, data, disks };
enum class Access { read_write, read_only };
enum class Provision { never, if_blank };
enum class KdfType { argon2id, pbkdf2 };
enum class Filesystem { ext4, xfs };

[[nodiscard]] std::string_view to_text(WantedMode mode);
[[nodiscard]] std::string_view to_text(Suspend suspend);
[[nodiscard]] std::string_view to_text(Role role);
[[nodiscard]] std::string_view to_text(When when);
[[nodiscard]] std::string_view to_text(VolumeRole role);
[[nodiscard]] std::string_view to_text(Access access);
[[nodiscard]] std::string_view to_text(Provision provision);
[[nodiscard]] std::string_view to_text(KdfType type);
[[nodiscard]] std::string_view to_text(Filesystem filesystem);

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

/// Where a volume of role data appears in a VM.
struct VmMount {
    Located<std::string> path;    // in the VM, absolute
    Located<std::string> volume;  // of role data
};

struct CloudInitSpec {
    Position at;
    std::optional<Located<FilePath>> user_data;
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
    Located<std::uint32_t> cpus_max;                         // default: cpus
    std::optional<Located<Ipv4>> address;                    // its DHCP reservation; required once there is a network
    std::vector<VmMount> mounts = {};                        // only of a workspace VM
    std::optional<CloudInitSpec> cloud_init = std::nullopt;  // only with image
};

struct ChapSpec {
    Position at;
    Located<std::string> user;
    Located<SecretRef> secret;
};

struct IscsiSpec {
    Position at;
    Located<Portal> portal;
    Located<std::string> target;  // an iSCSI qualified name (RFC 3720, 3.2.6.3.1)
    Located<std::uint32_t> lun;
    std::optional<ChapSpec> chap;
};

/// Cost of a key derivation; for argon2id memory, passes and lanes, for pbkdf2 passes alone (iterations).
struct KdfSpec {
    Position at;
    Located<KdfType> type;          // default: argon2id
    Located<ByteSize> memory;       // default: 1GiB
    Located<std::uint32_t> passes;  // default: 4
    Located<std::uint32_t> lanes;   // default: 4
};

struct EncryptionSpec {
    Position at;
    Located<std::string> cipher;      // default: aes-xts-plain64
    Located<std::uint32_t> key_size;  // bits of the volume key, both halves of XTS together; default: 512
    KdfSpec kdf;
};

struct VolumeSpec {
    std::string name;
    Position at;
    Located<VolumeRole> role;
    Located<Access> access;          // default: read-write
    std::optional<IscsiSpec> iscsi;  // exactly one of iscsi, file and device
    std::optional<Located<FilePath>> file;
    std::optional<Located<FilePath>> device;
    EncryptionSpec encryption;       // what is left out has its default
    Located<Filesystem> filesystem;  // default: ext4
    Located<Provision> provision;    // default: never
};

struct BindSpec {
    Position at;
    Located<std::string> dn;
    Located<SecretRef> password;
};

struct DirectorySpec {
    Position at;
    Located<std::string> ldap;            // ldaps://, ldap:// (then StartTLS is insisted on) or ldapi://
    Located<std::string> base;            // a distinguished name (RFC 4514)
    std::optional<BindSpec> bind;         // left out: SASL EXTERNAL over ldapi
    std::optional<Located<FilePath>> ca;  // required unless ldapi
};

struct UserSpec {
    std::string name;
    Position at;
    Located<std::string> full_name;
    std::optional<Located<std::string>> mail;
    Located<bool> super;  // default: false
    std::vector<Located<std::string>> ssh_keys;
};

/// How long each may take before the next harder means is used; operations.md says which.
struct DeadlinesSpec {
    Position at;
    Located<Duration> suspend;  // default: 2m
    Located<Duration> close;    // default: 5m
    Located<Duration> storage;  // default: 90s
    Located<Duration> lock;     // default: 30s
};

/// Something orphaned that may be destroyed, named so that nothing else can be meant.
struct RemovalSpec {
    Located<std::string> resource;  // "vm/old-forge", "container/old-data"
    Located<std::string> uuid;      // of the domain, of the LUKS header; in lower case
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
    Located<Duration> linger = {};  // default: 60s
    DeadlinesSpec deadlines = {};   // what is left out has its default
    std::vector<VolumeSpec> volumes = {};
    std::optional<DirectorySpec> directory = std::nullopt;
    std::vector<UserSpec> users = {};
    std::vector<RemovalSpec> remove = {};

    /// nullptr when there is no such VM.
    [[nodiscard]] const VmSpec* vm(std::string_view name) const;
    /// nullptr when there is no such volume.
    [[nodiscard]] const VolumeSpec* volume(std::string_view name) const;
    /// The one volume of role vault; nullptr when there is none.
    [[nodiscard]] const VolumeSpec* vault() const;
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
