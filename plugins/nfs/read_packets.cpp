#include "plugins/nfs/read_packets.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>

#include <cerrno>
#include <fstream>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::nfs {
namespace {

using base::Error;
using base::fail;
using base::Result;

constexpr int longest_wait = 2000;  // milliseconds
constexpr const char* most_deferred = "/proc/sys/net/core/skb_defer_max";

Error not_freed(std::string cause) {
    return {"free", "the network's packets that were read", std::move(cause),
            fmt::format("bring lo up and let safectl use all processors, or have none kept: `sysctl -w "
                        "net.core.skb_defer_max=0`, in /etc/sysctl.d for good")};
}

/// Puts back at the end which processors the thread may use.
class Processors {
 public:
    Processors() : known_(::sched_getaffinity(0, sizeof before_, &before_) == 0) {}
    Processors(const Processors&) = delete;
    Processors& operator=(const Processors&) = delete;
    Processors(Processors&&) = delete;
    Processors& operator=(Processors&&) = delete;
    ~Processors() {
        if (known_) static_cast<void>(::sched_setaffinity(0, sizeof before_, &before_));
    }
    [[nodiscard]] bool known() const { return known_; }
    /// False when there is no such processor, or this process may not use it.
    static bool move_to(int processor) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(processor), &one);
        return ::sched_setaffinity(0, sizeof one, &one) == 0;
    }

 private:
    cpu_set_t before_{};
    bool known_;
};

/// A socket that sends to itself; what is sent is received by the processor that sends (netif_rx).
Result<base::FileDescriptor> own_socket() {
    base::FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);  // NOLINT(*-reinterpret-cast): as bind(2) wants it
    if (!socket || ::bind(socket.get(), generic, size) != 0 || ::getsockname(socket.get(), generic, &size) != 0 ||
        ::connect(socket.get(), generic, size) != 0)
        return fail(not_freed(base::errno_text(errno)));
    return socket;
}

}  // namespace

Result<void> free_read_packets() {
    int most = -1;
    std::ifstream(most_deferred) >> most;
    if (most == 0) return {};
    Result<base::FileDescriptor> socket = own_socket();
    if (!socket) return fail(socket.error());
    const Processors processors;
    if (!processors.known()) return fail(not_freed(base::errno_text(errno)));
    int served = 0;
    for (int processor = 0; processor < ::get_nprocs_conf(); ++processor) {
        if (!Processors::move_to(processor)) continue;
        char byte = 0;
        if (::send(socket->get(), &byte, 1, 0) != 1) return fail(not_freed(base::errno_text(errno)));
        pollfd arrival{.fd = socket->get(), .events = POLLIN, .revents = 0};
        if (::poll(&arrival, 1, longest_wait) != 1 || ::recv(socket->get(), &byte, 1, 0) != 1)
            return fail(not_freed(fmt::format("what was sent to processor {} did not arrive", processor)));
        ++served;
    }
    if (served >= ::get_nprocs()) return {};
    return fail(not_freed(fmt::format("this process may use {} of {} processors", served, ::get_nprocs())));
}

}  // namespace safe::nfs
