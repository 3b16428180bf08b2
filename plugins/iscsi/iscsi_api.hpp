// What the driver needs of iSCSI (RFC 7143), in two narrow interfaces. Prober talks to a target from user space and
// changes nothing on this host; Host is this host's own initiator: the kernel's sessions as sysfs shows them, and
// open-iscsi that makes and ends them. Implementations are called from several threads at once; whoever changes the
// host's sessions is one at a time (the driver sees to it). Secrets are only borrowed.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "reconciler/base/result.hpp"
#include "reconciler/base/secret.hpp"

namespace safe::iscsi {

/// Where a session leads: "192.0.2.10:3260" and an iSCSI name.
struct Endpoint {
    std::string portal;
    std::string target;
    auto operator<=>(const Endpoint&) const = default;
};

/// Where a volume lies.
struct Address {
    Endpoint endpoint;
    std::uint32_t lun = 0;
    auto operator<=>(const Address&) const = default;
};
/// "iqn.2026-01.org.example:atlas, LUN 1 at 192.0.2.10:3260".
[[nodiscard]] std::string to_text(const Address& address);

struct Chap {
    std::string user;
    base::Secret secret;
};

/// How long the initiator waits, in seconds; every one of them bounded.
struct Timeouts {
    std::uint32_t replacement = 90;  // for a lost target to come back, before I/O on its devices fails
    std::uint32_t login = 10;
    std::uint32_t noop = 5;  // between two signs of life, and for the answer to one
};

/// What a logical unit is known by.
struct Identity {
    std::string serial;          // VPD page 0x80 (SPC-4, 7.8.15); empty when it has none
    std::string designator;      // VPD page 0x83 (SPC-4, 7.8.6): "naa.6001405…"; empty when it has none
    std::uint64_t capacity = 0;  // bytes
    std::optional<std::string> luks = std::nullopt;  // UUID of the LUKS header; nullopt: there is none
    bool operator==(const Identity&) const = default;
};

struct Question {
    Address address;
    std::string initiator;                    // our own iSCSI name
    const Chap* chap = nullptr;               // nullptr: without authentication
    std::chrono::milliseconds limit{20'000};  // for everything together
    std::stop_token stop = {};
};

struct Found {
    Identity identity;
    bool write_protected = false;
    std::uint16_t portal_group = 1;  // the tag that discovery told
};

class Prober {
 public:
    Prober() = default;
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;
    Prober(Prober&&) = delete;
    Prober& operator=(Prober&&) = delete;
    virtual ~Prober() = default;

    /// Discovers, logs in, looks at one logical unit and logs out. Only reads. Ends within the limit, whatever the
    /// other side does; the errors tell apart: nobody there, silence, no such target, CHAP refused, no such unit, not a
    /// disk.
    [[nodiscard]] virtual base::Result<Found> probe(const Question& question) = 0;
};

/// One logical unit as the kernel has it.
struct Unit {
    std::uint32_t lun = 0;
    std::string device;  // "sdb"; empty when it has no block device
    std::string state;   // of the SCSI device: "running", "blocked", "transport-offline", …
    std::string serial;
    std::string designator;
    std::uint64_t capacity = 0;           // bytes
    std::vector<std::string> users = {};  // what lies on it: "dm-3 (safe-atlas-vault)", "mounted on /mnt"

    [[nodiscard]] bool is_blocked() const { return state == "blocked"; }
};

struct Session {
    std::uint32_t number = 0;
    Endpoint endpoint;
    std::string interface;  // open-iscsi's name for the way it was made: our mark on it
    std::string state;      // "LOGGED_IN", "FAILED", "FREE"
    std::vector<Unit> units = {};
    bool checksums = false;  // the target agreed to CRC32C over headers and data

    [[nodiscard]] const Unit* unit(std::uint32_t lun) const;
};

/// A node record of ours: what open-iscsi logs in by. Holds the CHAP secret, so it is there no longer than the session.
struct SeenRecord {
    Endpoint endpoint;
    std::string volume;  // for which it was written; empty when that was lost
};

struct Login {
    Endpoint endpoint;
    std::uint16_t portal_group = 1;
    std::string volume;  // for whom
    const Chap* chap = nullptr;
    Timeouts timeouts;
};

class Host {
 public:
    Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    Host(Host&&) = delete;
    Host& operator=(Host&&) = delete;
    virtual ~Host() = default;

    /// What this host lacks to attach anything, in words; empty when it lacks nothing.
    [[nodiscard]] virtual std::vector<std::string> missing() = 0;
    /// Every session there is, whoever made it. Without the kernel's module there are none; what cannot be read is an
    /// error.
    [[nodiscard]] virtual base::Result<std::vector<Session>> sessions() = 0;
    [[nodiscard]] virtual base::Result<std::vector<SeenRecord>> records() = 0;
    /// The iSCSI name of this host.
    [[nodiscard]] virtual base::Result<std::string> initiator_name() = 0;

    /// Makes a session under our mark that sees no unit yet. Returns when it is logged in; what was half made before is
    /// used or replaced.
    [[nodiscard]] virtual base::Result<void> log_in(const Login& login) = 0;
    /// Makes the kernel look at this one unit, and waits for its block device. One that is there is measured again.
    [[nodiscard]] virtual base::Result<void> scan(std::uint32_t session, std::uint32_t lun) = 0;
    /// Writes back what the kernel holds for the unit; fails on a device that no longer answers.
    [[nodiscard]] virtual base::Result<void> flush(std::uint32_t session, std::uint32_t lun) = 0;
    /// Takes the unit from the kernel. No error when it is gone already.
    [[nodiscard]] virtual base::Result<void> drop(std::uint32_t session, std::uint32_t lun) = 0;
    /// Ends the session and waits until it is gone. No error when it is gone already.
    [[nodiscard]] virtual base::Result<void> log_out(std::uint32_t session) = 0;
    /// Removes our node record, and with it the secret. No error when it is gone already.
    [[nodiscard]] virtual base::Result<void> forget(const Endpoint& endpoint) = 0;
};

/// Where the host keeps what the initiator is made of; other places only in tests.
struct Roots {
    std::filesystem::path sysfs = "/sys";
    std::filesystem::path devices = "/dev";
    std::filesystem::path configuration = "/etc/iscsi";
    std::filesystem::path mounts = "/proc/self/mountinfo";
};

/// Through libiscsi.
[[nodiscard]] std::unique_ptr<Prober> make_prober();
/// Through sysfs and open-iscsi. `mark`: the interface name that is ours, "safe-atlas".
[[nodiscard]] std::unique_ptr<Host> make_host(std::string mark, Roots roots = {});

}  // namespace safe::iscsi
