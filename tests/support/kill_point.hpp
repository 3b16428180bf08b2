// Kills a piece of work just before or just after its n-th system call that could leave something behind: writing,
// syncing, renaming, removing, sending. The work runs in a child that is traced (ptrace(2)); programs that it starts
// are not, and are expected to die with it.
#pragma once

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

namespace safe::test {

struct Traced {
    int calls = 0;              // of the kinds that count, that were begun
    bool killed = false;        // by us
    std::optional<int> status;  // what the work returned, when it did
};

class Points {
 public:
    /// At the entry of a call of `process`.
    bool count(pid_t process, const __ptrace_syscall_info& info) {
        const auto number = static_cast<long>(info.entry.nr);
        const auto descriptor = static_cast<int>(info.entry.args[0]);
        if (number == SYS_connect) servers_.insert(descriptor);
        if (number == SYS_close) servers_.erase(descriptor);
        constexpr std::array by_name{SYS_rename,   SYS_renameat, SYS_renameat2, SYS_unlink,
                                     SYS_unlinkat, SYS_mkdir,    SYS_mkdirat,   SYS_link};
        constexpr std::array by_descriptor{SYS_write,     SYS_writev,    SYS_pwrite64,  SYS_pwritev,
                                           SYS_pwritev2,  SYS_fsync,     SYS_sendto,    SYS_sendmsg,
                                           SYS_fdatasync, SYS_ftruncate, SYS_fallocate, SYS_syncfs};
        if (std::ranges::find(by_name, number) != by_name.end()) return true;
        if (std::ranges::find(by_descriptor, number) == by_descriptor.end()) return false;
        std::error_code error;
        const std::string target =
            std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", process, descriptor), error).string();
        return target.starts_with('/') || servers_.contains(descriptor);
    }

 private:
    std::set<int> servers_;  // descriptors that were connected to something
};

/// Runs `work` in a child, and kills it before the given point, counted from 1; with 0 they are only counted.
inline Traced trace(const std::function<int()>& work, int kill_before = 0) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        ::_exit(work());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    Traced traced;
    Points points;
    int deliver = 0;
    for (;;) {
        if (::ptrace(PTRACE_SYSCALL, child, nullptr, deliver) != 0) throw std::runtime_error("ptrace");
        deliver = 0;
        ::waitpid(child, &status, 0);
        if (WIFEXITED(status)) {
            traced.status = WEXITSTATUS(status);
            return traced;
        }
        if (WIFSIGNALED(status)) throw std::runtime_error("the work died of a signal that was not ours");
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
            continue;
        }
        __ptrace_syscall_info info{};
        ::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !points.count(child, info)) continue;
        if (++traced.calls != kill_before) continue;
        ::kill(child, SIGKILL);  // at the entry: the call is not carried out any more
        ::waitpid(child, &status, 0);
        traced.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        return traced;
    }
}

}  // namespace safe::test
