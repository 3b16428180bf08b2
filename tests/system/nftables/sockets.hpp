// Sockets of a host in a Lan: a socket belongs to the namespace it was made in, wherever it is used afterwards.
// Everything waits a bounded time and says whether it happened.
#pragma once

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reconciler/base/error.hpp"
#include "tests/system/nftables/lan.hpp"

namespace safe::test {

using namespace std::chrono_literals;
constexpr auto soon = 3000ms;   // for what must happen
constexpr auto never = 1500ms;  // for what must not

class Socket {
 public:
    explicit Socket(int descriptor) : descriptor_(descriptor) {
        if (descriptor_ < 0) throw std::runtime_error("socket: " + base::errno_text(errno));
    }
    Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
        if (descriptor_ >= 0) close(descriptor_);
    }

    [[nodiscard]] int get() const { return descriptor_; }
    [[nodiscard]] bool ready(short events, std::chrono::milliseconds limit) const {
        pollfd waiting{descriptor_, events, 0};
        return poll(&waiting, 1, static_cast<int>(limit.count())) == 1;
    }
    /// What an ICMP error said of this socket; 0 for nothing. It is told once.
    [[nodiscard]] int pending_error() const {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size);
        return error;
    }
    void say(std::string_view text) const {
        if (send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL) < 0)
            throw std::runtime_error("send: " + base::errno_text(errno));
    }
    /// Whether exactly this arrives.
    [[nodiscard]] bool hears(std::string_view text, std::chrono::milliseconds limit) const {
        std::string heard;
        std::string chunk(65536, '\0');
        while (heard.size() < text.size() && ready(POLLIN, limit)) {
            const ssize_t got = recv(descriptor_, chunk.data(), chunk.size(), 0);
            if (got <= 0) return false;
            heard.append(chunk, 0, static_cast<std::size_t>(got));
        }
        return heard == text;
    }

 private:
    int descriptor_;
};

inline sockaddr_in endpoint(const std::string& address, std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    if (inet_pton(AF_INET, address.c_str(), &made.sin_addr) != 1) throw std::runtime_error("no address: " + address);
    return made;
}

inline const sockaddr* plain(const sockaddr_in& address) { return std::bit_cast<const sockaddr*>(&address); }

inline Socket bound(const Lan& lan, const std::string& host, int type, const std::string& address, std::uint16_t port) {
    int made = -1;
    lan.in(host, [&] {
        made = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        const int yes = 1;
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        const sockaddr_in at = endpoint(address, port);
        if (bind(made, plain(at), sizeof at) != 0)
            throw std::runtime_error("bind " + address + ": " + base::errno_text(errno));
    });
    return Socket(made);
}

inline Socket listening(const Lan& lan, const std::string& host, const std::string& address, std::uint16_t port) {
    Socket made = bound(lan, host, SOCK_STREAM, address, port);
    if (listen(made.get(), 8) != 0) throw std::runtime_error("listen: " + base::errno_text(errno));
    return made;
}

/// Both ends of a TCP connection; nothing when it did not come about within `limit`.
inline std::vector<Socket> connection(const Lan& lan, const std::string& host, const std::string& from,
                                      const Socket& listener, const std::string& to, std::uint16_t port,
                                      std::chrono::milliseconds limit) {
    Socket caller = bound(lan, host, SOCK_STREAM | SOCK_NONBLOCK, from, 0);
    const sockaddr_in there = endpoint(to, port);
    if (connect(caller.get(), plain(there), sizeof there) != 0 && errno != EINPROGRESS) return {};
    if (!listener.ready(POLLIN, limit)) return {};
    Socket answerer(accept(listener.get(), nullptr, nullptr));
    if (!caller.ready(POLLOUT, limit)) return {};
    std::vector<Socket> ends;
    ends.push_back(std::move(caller));
    ends.push_back(std::move(answerer));
    return ends;
}

/// Everything that comes in over one interface of a host, and frames put on it as they are.
class Wire {
 public:
    Wire(const Lan& lan, const std::string& host, const std::string& interface) : socket_(raw(lan, host, interface)) {}

    void put(const std::string& frame) const { socket_.say(frame); }
    /// Whether a frame that contains `mark` comes in.
    [[nodiscard]] bool sees(std::string_view mark, std::chrono::milliseconds limit) const {
        const auto end = std::chrono::steady_clock::now() + limit;
        std::string frame(65536, '\0');
        for (auto left = limit; left > 0ms && socket_.ready(POLLIN, left);
             left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now())) {
            const ssize_t got = recv(socket_.get(), frame.data(), frame.size(), 0);
            if (got > 0 &&
                std::string_view(frame).substr(0, static_cast<std::size_t>(got)).find(mark) != std::string_view::npos)
                return true;
        }
        return false;
    }

 private:
    static Socket raw(const Lan& lan, const std::string& host, const std::string& interface) {
        int made = -1;
        lan.in(host, [&] {
            made = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
            sockaddr_ll at{};
            at.sll_family = AF_PACKET;
            at.sll_protocol = htons(ETH_P_ALL);
            at.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
            if (bind(made, std::bit_cast<const sockaddr*>(&at), sizeof at) != 0)
                throw std::runtime_error("bind to " + interface + ": " + base::errno_text(errno));
        });
        return Socket(made);
    }

    Socket socket_;
};

}  // namespace safe::test
