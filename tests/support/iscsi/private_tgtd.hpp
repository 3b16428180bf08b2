// A tgtd of a test's own, on loopback with a port and a control socket of its own; ended with the test. Needs root.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "reconciler/base/process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::test {

/// A TCP port of loopback that nobody listens on. With `listener`, the socket that does and never answers.
inline std::uint16_t free_port(int* listener = nullptr) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (fd < 0 || ::bind(fd, generic, size) != 0 || ::getsockname(fd, generic, &size) != 0)
        throw std::runtime_error("no port on loopback");
    if (listener != nullptr) {
        if (::listen(fd, 8) != 0) throw std::runtime_error("cannot listen on loopback");
        *listener = fd;
    } else {
        ::close(fd);
    }
    return ntohs(address.sin_port);
}

class PrivateTgtd {
 public:
    static constexpr const char* target = "iqn.2026-01.org.example:atlas";

    PrivateTgtd() : port_(free_port()), control_(std::to_string(::getpid() % 30000 + 1)) { start(); }
    PrivateTgtd(const PrivateTgtd&) = delete;
    PrivateTgtd& operator=(const PrivateTgtd&) = delete;
    PrivateTgtd(PrivateTgtd&&) = delete;
    PrivateTgtd& operator=(PrivateTgtd&&) = delete;
    ~PrivateTgtd() { stop(); }

    [[nodiscard]] std::string portal() const { return "127.0.0.1:" + std::to_string(port_); }

    /// As a storage host that crashes and is up again: the port is the same, the targets are gone.
    void start() {
        const std::string listen_on = "portal=" + portal();
        pid_ = ::fork();
        if (pid_ == 0) {
            const int null = ::open("/dev/null", O_RDWR);
            for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
            ::execl("/usr/sbin/tgtd", "tgtd", "-f", "-C", control_.c_str(), "--iscsi", listen_on.c_str(), nullptr);
            ::_exit(127);
        }
        for (int tries = 0; tries < 200; ++tries) {
            if (admin({"--mode", "sys", "--op", "show"}) == 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        throw std::runtime_error("tgtd does not answer");
    }
    void stop() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    /// Accepts and keeps connections, and says nothing: a hanging storage.
    void freeze() const { ::kill(pid_, SIGSTOP); }
    void thaw() const { ::kill(pid_, SIGCONT); }

    /// Checks what it sends and gets with CRC32C, which tgtd does not by itself.
    void use_checksums() {
        for (const char* name : {"HeaderDigest", "DataDigest"})
            must({"--mode", "target", "--op", "update", "--tid", "1", "-n", name, "-v", "CRC32C"});
    }
    void add_target(int number = 1, const std::string& name = target) {
        const std::string id = std::to_string(number);
        must({"--mode", "target", "--op", "new", "--tid", id, "-T", name});
        must({"--mode", "target", "--op", "bind", "--tid", id, "-I", "ALL"});
    }
    void require_chap(const std::string& user, const std::string& secret, int number = 1) {
        must({"--mode", "account", "--op", "new", "--user", user, "--password", secret});
        must({"--mode", "account", "--op", "bind", "--tid", std::to_string(number), "--user", user});
    }
    /// A unit of `mib` MiB of zeros, or of what an earlier one of this name left.
    void add_unit(int lun, const std::string& serial, int mib = 8, int number = 1) {
        const auto file = backing(number, lun);
        if (::access(file.c_str(), F_OK) != 0) std::ofstream(file).close();
        if (::truncate(file.c_str(), static_cast<off_t>(mib) << 20U) != 0) throw std::runtime_error("truncate");
        const std::string id = std::to_string(number);
        const std::string unit = std::to_string(lun);
        must({"--mode", "logicalunit", "--op", "new", "--tid", id, "--lun", unit, "-b", file});
        must({"--mode", "logicalunit", "--op", "update", "--tid", id, "--lun", unit, "--params",
              "scsi_sn=" + serial + ",scsi_id=" + "ID" + serial});
    }
    void protect_unit(int lun) {
        must({"--mode", "logicalunit", "--op", "update", "--tid", "1", "--lun", std::to_string(lun), "--params",
              "readonly=1"});
    }
    void remove_unit(int lun) {
        must({"--mode", "logicalunit", "--op", "delete", "--tid", "1", "--lun", std::to_string(lun)});
    }
    /// What lies behind a unit.
    [[nodiscard]] std::string backing(int number, int lun) const {
        return directory_.path() / ("unit-" + std::to_string(number) + "-" + std::to_string(lun));
    }
    /// Puts something that looks like the beginning of a LUKS2 header on a unit.
    void put_luks_header(int lun, const std::string& uuid) const {
        std::fstream file(backing(1, lun), std::ios::in | std::ios::out | std::ios::binary);
        file.write("LUKS\xba\xbe\0\2", 8);
        file.seekp(168);
        file.write(uuid.c_str(), static_cast<std::streamsize>(uuid.size()) + 1);
    }
    /// How many initiators are logged in.
    [[nodiscard]] std::size_t sessions() const {
        const auto shown =
            base::run_process({"tgtadm", "-C", control_, "--lld", "iscsi", "--mode", "target", "--op", "show"});
        std::size_t count = 0;
        for (std::size_t at = 0; (at = shown->output.find("I_T nexus:", at)) != std::string::npos; ++at) ++count;
        return count;
    }

 private:
    [[nodiscard]] int admin(const std::vector<std::string>& arguments) const {
        std::vector<std::string> all{"tgtadm", "-C", control_, "--lld", "iscsi"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        const auto done = base::run_process(all);
        return done ? done->status : -1;
    }
    void must(const std::vector<std::string>& arguments) const {
        if (admin(arguments) != 0) throw std::runtime_error("tgtadm refused " + arguments[1] + " " + arguments[3]);
    }

    testing::TemporaryDirectory directory_;
    std::uint16_t port_;
    std::string control_;
    pid_t pid_ = -1;
};

/// Why no tgtd can run here; empty when one can.
inline std::string no_tgtd() {
    if (::geteuid() != 0) return "tgtd needs root";
    if (::access("/usr/sbin/tgtd", X_OK) != 0) return "tgtd is not installed";
    return {};
}

}  // namespace safe::test
