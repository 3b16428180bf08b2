// Stands between a client and a slapd's local socket, and does to the bytes what bad days do: refuses, stalls, cuts the
// line after so many requests, or answers nonsense. One thread a connection; ends with the object.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace safe::test {

class MeddlingProxy {
 public:
    enum class Mood {
        honest,
        cut_before,  // the n-th chunk from the client is not passed on, and the line is cut
        cut_after,   // it is passed on, and the line is cut before any answer
        stall,       // from then on nothing passes
        half,        // half of each answer passes, and then nothing
        nonsense,    // answers are replaced by bytes without meaning
        endless,     // the answer claims to be of 2 GiB
    };

    MeddlingProxy(std::filesystem::path here, std::string server) : here_(std::move(here)), server_(std::move(server)) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(here_.string());
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 16) != 0)
            throw std::runtime_error("no socket");
        acceptor_ = std::jthread([this](const std::stop_token& stop) { accept_all(stop); });
    }
    MeddlingProxy(const MeddlingProxy&) = delete;
    MeddlingProxy& operator=(const MeddlingProxy&) = delete;
    MeddlingProxy(MeddlingProxy&&) = delete;
    MeddlingProxy& operator=(MeddlingProxy&&) = delete;
    ~MeddlingProxy() {
        acceptor_ = {};
        lines_.clear();
        ::close(listener_);
    }

    [[nodiscard]] std::string uri() const {
        std::string path;
        for (const char c : here_.string()) path += c == '/' ? std::string("%2F") : std::string(1, c);
        return "ldapi://" + path;
    }

    /// From the n-th chunk that a client sends from now on; counted over all connections.
    void be(Mood mood, int at = 1) {
        seen_ = 0;
        at_ = at;
        mood_ = mood;
    }
    [[nodiscard]] int seen() const { return seen_; }

 private:
    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path) throw std::runtime_error("path too long");
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        return address;
    }

    void accept_all(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            pollfd waiting{listener_, POLLIN, 0};
            if (::poll(&waiting, 1, 20) <= 0) continue;
            const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0) continue;
            const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const sockaddr_un address = address_of(server_);
            if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
                ::close(client);
                ::close(server);
                continue;
            }
            lines_.emplace_back([this, client, server](const std::stop_token& ended) {
                pass(client, server, ended);
                ::close(client);
                ::close(server);
            });
        }
    }

    void pass(int client, int server, const std::stop_token& stop) {
        bool meddles = false;
        while (!stop.stop_requested()) {
            std::array<pollfd, 2> waiting{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
            if (::poll(waiting.data(), 2, 20) <= 0) continue;
            if (meddles && mood_ == Mood::stall) {
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                continue;
            }
            std::array<char, 65536> bytes{};
            if (waiting[0].revents != 0) {
                const ssize_t got = ::recv(client, bytes.data(), bytes.size(), 0);
                if (got <= 0) return;
                meddles = mood_ != Mood::honest && ++seen_ >= at_;
                if (meddles && mood_ == Mood::cut_before) return;
                if (meddles && mood_ == Mood::stall) continue;
                if (::send(server, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return;
                if (meddles && mood_ == Mood::cut_after) {
                    // Until the server has answered: then it has done what it was asked.
                    static_cast<void>(::recv(server, bytes.data(), bytes.size(), 0));
                    return;
                }
            }
            if (waiting[1].revents != 0) {
                ssize_t got = ::recv(server, bytes.data(), bytes.size(), 0);
                if (got <= 0) return;
                if (meddles && mood_ == Mood::half) got = (got + 1) / 2;
                if (meddles && mood_ == Mood::nonsense)
                    for (ssize_t i = 0; i < got; ++i)
                        bytes.at(static_cast<std::size_t>(i)) = static_cast<char>(i * 37 + 1);
                if (meddles && mood_ == Mood::endless) std::memcpy(bytes.data(), "\x30\x84\x7f\xff\xff\xff", 6);
                if (::send(client, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return;
                if (meddles && mood_ == Mood::half) mood_ = Mood::stall;
            }
        }
    }

    const std::filesystem::path here_;
    const std::string server_;
    int listener_ = -1;
    std::atomic<Mood> mood_ = Mood::honest;
    std::atomic<int> seen_ = 0;
    std::atomic<int> at_ = 1;
    std::vector<std::jthread> lines_;
    std::jthread acceptor_;
};

}  // namespace safe::test
