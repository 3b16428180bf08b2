// A libvirtd of the test's own, with its virtlogd, in namespaces of its own: its definitions, sockets, bridges and
// guests are nobody else's, and all of it is gone with the test process, however that ends. The process that makes one
// leaves the host's mounts and network for good; gtest_discover_tests runs each TEST as a process. Needs root. Guests
// are emulated: /dev/kvm is hidden, so that a test means the same on every machine.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "reconciler/base/process.hpp"

namespace safe::test {

class PrivateLibvirtd {
 public:
    static constexpr const char* uri = "qemu:///system";

    /// Why there can be none here; nullopt when there can.
    static std::optional<std::string> impossible() {
        if (::geteuid() != 0) return "a libvirtd of our own needs root";
        for (const char* program : {"/usr/sbin/libvirtd", "/usr/sbin/virtlogd", "/usr/bin/qemu-system-x86_64"})
            if (::access(program, X_OK) != 0) return std::string(program) + " is not installed";
        return std::nullopt;
    }

    /// `cache` keeps what libvirtd finds out about QEMU, which takes it 8 s, from one test to the next.
    explicit PrivateLibvirtd(const std::filesystem::path& cache) {
        check(::unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare");
        check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
        for (const char* place : {"/run/libvirt", "/var/lib/libvirt", "/etc/libvirt", "/var/log/libvirt"}) {
            std::filesystem::create_directories(place);
            check(::mount("tmpfs", place, "tmpfs", 0, "mode=0755"), place);
        }
        std::filesystem::create_directories(cache);
        std::filesystem::create_directories("/var/cache/libvirt");
        check(::mount(cache.c_str(), "/var/cache/libvirt", nullptr, MS_BIND, nullptr), "bind the cache");
        hide_kvm();
        become_parent_of_all();
        must({"ip", "link", "set", "lo", "up"});
        must({"virtlogd", "-d", "-p", "/run/libvirt/virtlogd.pid"});
        start();
    }
    PrivateLibvirtd(const PrivateLibvirtd&) = delete;
    PrivateLibvirtd& operator=(const PrivateLibvirtd&) = delete;
    PrivateLibvirtd(PrivateLibvirtd&&) = delete;
    PrivateLibvirtd& operator=(PrivateLibvirtd&&) = delete;
    ~PrivateLibvirtd() {
        ::kill(first_, SIGKILL);  // the first process of the namespace takes every other with it
        ::waitpid(between_, nullptr, 0);
    }

    void start() {
        must({"libvirtd", "-d", "-p", "/run/libvirt/libvirtd.pid"});
        for (int tries = 0; tries < 600; ++tries) {
            if (run({"virsh", "-c", uri, "version"}).status == 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        throw std::runtime_error("libvirtd does not answer");
    }

    /// Guests run on without it.
    void stop() {
        must({"sh", "-c", "kill $(cat /run/libvirt/libvirtd.pid)"});
        while (std::filesystem::exists("/run/libvirt/libvirtd.pid"))
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }

    /// virsh's output; throws when it fails.
    // NOLINTNEXTLINE(modernize-use-nodiscard): called as often for what it does as for what it says
    std::string virsh(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"virsh", "-q", "-c", uri});
        std::string output = must(arguments);
        while (output.ends_with('\n')) output.pop_back();
        return output;
    }

    /// Any program, where libvirtd is.
    [[nodiscard]] base::Finished run(const std::vector<std::string>& arguments) const {
        std::vector<std::string> inside{"nsenter", "--target", std::to_string(first_), "--mount", "--pid"};
        inside.insert(inside.end(), arguments.begin(), arguments.end());
        base::Result<base::Finished> finished = base::run_process(inside);
        if (!finished) throw std::runtime_error(to_text(finished.error()));
        return std::move(*finished);
    }

    // NOLINTNEXTLINE(modernize-use-nodiscard): as above
    std::string must(const std::vector<std::string>& arguments) const {
        base::Finished finished = run(arguments);
        if (finished.status == 0) return std::move(finished.output);
        std::string line;
        for (const std::string& argument : arguments) line += argument + " ";
        throw std::runtime_error(line + ": " + finished.errors + finished.output);
    }

 private:
    static void check(int result, const std::string& what) {
        if (result != 0) throw std::runtime_error(what + ": " + base::errno_text(errno));
    }

    /// A /dev without it. Covering the node would not do: libvirt would see that it is there but does not work, and ask
    /// QEMU again at every definition, for seconds.
    static void hide_kvm() {
        namespace fs = std::filesystem;
        const fs::path devices = "/run/libvirt/dev";
        fs::create_directories(devices);
        check(::mount("tmpfs", devices.c_str(), "tmpfs", 0, "mode=0755"), "make a /dev");
        for (const char* name : {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "net/tun"}) {
            struct stat node{};
            if (::stat((fs::path("/dev") / name).c_str(), &node) != 0) continue;
            fs::create_directories((devices / name).parent_path());
            check(::mknod((devices / name).c_str(), node.st_mode, node.st_rdev), name);
            check(::chmod((devices / name).c_str(), 0666), name);
        }
        for (const char* name : {"pts", "shm"}) {
            fs::create_directory(devices / name);
            check(::mount((fs::path("/dev") / name).c_str(), (devices / name).c_str(), nullptr, MS_BIND, nullptr),
                  name);
        }
        fs::create_symlink("/proc/self/fd", devices / "fd");
        // libvirt walks the mounts below /dev and stumbles over those of one that lies hidden under another.
        while (::umount2("/dev", MNT_DETACH) == 0) continue;
        check(::mount(devices.c_str(), "/dev", nullptr, MS_MOVE, nullptr), "move /dev into place");
    }

    /// The first process of a new PID namespace adopts every daemon; it sees them in a /proc of its own, which the test
    /// itself must not have. A process in between makes the namespace, because one that has done so may have no
    /// threads.
    void become_parent_of_all() {
        int pipe[2] = {-1, -1};
        check(::pipe2(pipe, O_CLOEXEC), "pipe");
        between_ = ::fork();
        if (between_ == 0) be_between(pipe[1]);
        check(between_ > 0 && ::read(pipe[0], &first_, sizeof first_) == sizeof first_ && first_ > 0 ? 0 : -1,
              "make a PID namespace");
        ::close(pipe[0]);
        ::close(pipe[1]);
    }

    /// Tells the number of the first process, once that is ready.
    [[noreturn]] static void be_between(int tell) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        int ready[2] = {-1, -1};
        pid_t first = ::pipe2(ready, O_CLOEXEC) == 0 && ::unshare(CLONE_NEWPID) == 0 ? ::fork() : -1;
        if (first == 0) be_first(ready[1]);
        char answer = 'n';
        if (first > 0 && (::read(ready[0], &answer, 1) != 1 || answer != 'y')) first = -1;
        if (::write(tell, &first, sizeof first) == sizeof first) ::waitpid(first, nullptr, 0);
        ::_exit(1);
    }

    [[noreturn]] static void be_first(int ready) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        static_cast<void>(::signal(SIGCHLD, SIG_IGN));  // whoever it adopts is reaped by the kernel
        const bool made = ::unshare(CLONE_NEWNS) == 0 && ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
        const bool told = ::write(ready, made ? "y" : "n", 1) == 1;
        if (!made || !told) ::_exit(1);
        for (;;) ::pause();
    }

    pid_t between_ = -1;
    pid_t first_ = -1;
};

}  // namespace safe::test
