// safe-key-helper: a process for one use of a key. It is started with a socket and a memory file that holds a header,
// is asked one thing, answers, and ends; keys live nowhere else. Before it reads the request it has locked its memory,
// cannot be dumped or traced, leaves no core, and dies with whoever started it. It takes no arguments and reads no
// environment.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "plugins/luks/luks_lib.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SAFE_SANITIZED 1
#endif
#endif

namespace {

using namespace safe::luks;  // NOLINT(google-build-using-namespace): a program of one file

/// What is missing; empty when all is well.
std::string harden() {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return "it could not be tied to the life of its parent";
    // The parent may have died before that: then somebody else is our parent now than who made the socket.
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket_descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != getppid())
        return "it was not started by its parent's own hand";
    const rlimit none{0, 0};
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return "core dumps could not be forbidden";
#ifndef SAFE_SANITIZED  // a sanitizer's shadow memory is larger than any machine
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return "its memory could not be locked; run as root (CAP_IPC_LOCK)";
#endif
    // Should memory run out all the same, better this process than another.
    std::ofstream("/proc/self/oom_score_adj") << 1000;
    return {};
}

}  // namespace

int main() {
    if (const std::string missing = harden(); !missing.empty()) {
        const Failure failure{Failure::Code::other, {"start", "the key helper", missing, ""}};
        static_cast<void>(send(socket_descriptor, {.body = {{"failure", to_json(failure)}}}));
        return 1;
    }
    const safe::base::Result<Received> request = receive(socket_descriptor);
    if (!request) return 1;
    const Json answer = serve(*request);
    return send(socket_descriptor, {.body = answer}) ? 0 : 1;
}
