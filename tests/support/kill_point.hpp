// Kills a piece of work just before or just after its n-th system call that could leave something behind: writing,
// syncing, renaming, removing, sending. The work runs in a child that is traced (ptrace(2)); programs that it starts
// are not, and are expected to die with it.
#pragma once

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <functional>
#include <optional>
#include <stdexcept>

namespace safe::test {

struct KillAt {
    int call = 0;  // from 1
    bool after = false;
};

struct Traced {
    int calls = 0;              // of the kinds that count, that were begun
    bool killed = false;        // by us
    std::optional<int> status;  // what the work returned, when it did
};

inline bool leaves_something(std::uint64_t number) {
    constexpr std::array<long, 20> calls{SYS_write,     SYS_writev,    SYS_pwrite64, SYS_pwritev,  SYS_pwritev2,
                                         SYS_fsync,     SYS_fdatasync, SYS_rename,   SYS_renameat, SYS_renameat2,
                                         SYS_unlink,    SYS_unlinkat,  SYS_sendto,   SYS_sendmsg,  SYS_ftruncate,
                                         SYS_fallocate, SYS_mkdir,     SYS_mkdirat,  SYS_link,     SYS_syncfs};
    return std::ranges::find(calls, static_cast<long>(number)) != calls.end();
}

/// Runs `work` in a child. Without `at` it is only counted.
inline Traced trace(const std::function<int()>& work, std::optional<KillAt> at = std::nullopt) {
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
    bool inside_point = false;
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
        const bool entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
        if (entry) inside_point = leaves_something(info.entry.nr);
        if (!inside_point) continue;
        if (entry) ++traced.calls;
        if (at && traced.calls == at->call && entry != at->after) {
            ::kill(child, SIGKILL);  // at the entry the call is not carried out any more
            ::waitpid(child, &status, 0);
            traced.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            return traced;
        }
        if (!entry) inside_point = false;
    }
}

}  // namespace safe::test
