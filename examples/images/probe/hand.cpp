// The probe's hand: what busybox cannot do for a test. One static program, so that it runs in a guest of two files.
//
//   hand beat FILE BOOT     each second a line "heartbeat boot=BOOT beat=N time=UTC" at the end of FILE, through to
//                           the disk, in one descriptor that is never opened again and under one fcntl lock that is
//                           never taken again: a lock that was lost, or a file that went stale, shows. Says on stdout
//                           when that changes
//   hand serve PORT         a TCP server that sends everything back, to any number of clients
//   hand talk ADDRESS PORT  one TCP connection, kept; each second a number is said; prints "heard N" for what comes
//                           back, and "connected", "refused: …" or "ended: …"
//   hand frame INTERFACE HEX           one Ethernet frame as it stands
//   hand see INTERFACE MARK SECONDS    waits for a frame that holds MARK; prints "seen" or, status 1, "not seen"
//
// Exits with 2 on wrong arguments and 1 when it could not do what was asked, with the reason on stderr.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

int failed(const char* what) {
    std::fprintf(stderr, "hand: %s: %s\n", what, std::strerror(errno));
    return 1;
}

int say(const char* word, const std::string& rest = {}) {
    std::printf("hand: %s%s%s\n", word, rest.empty() ? "" : " ", rest.c_str());
    return 0;
}

std::string utc() {
    const time_t now = std::time(nullptr);
    tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

int beat(const char* path, const char* boot) {
    const int file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) return failed(path);
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(file, F_SETLK, &lock) != 0) return failed("lock");
    say("locked", path);
    int before = 0;
    for (unsigned long count = 1;; ++count) {
        const std::string line =
            std::string("heartbeat boot=") + boot + " beat=" + std::to_string(count) + " time=" + utc() + "\n";
        errno = 0;
        const bool written =
            write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(file) == 0;
        const int now = written ? 0 : errno;
        if (now != before) say(now == 0 ? "file well again" : "file lost:", now == 0 ? "" : std::strerror(now));
        before = now;
        sleep(1);
    }
}

sockaddr_in endpoint(const char* address, const char* port) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    inet_pton(AF_INET, address, &where.sin_addr);
    return where;
}

int serve(const char* port) {
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in where = endpoint("0.0.0.0", port);
    if (bind(server, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 || listen(server, 16) != 0)
        return failed("listen");
    say("serving", port);
    std::vector<pollfd> ends{{server, POLLIN, 0}};
    while (true) {
        poll(ends.data(), ends.size(), -1);
        std::vector<pollfd> next{{server, POLLIN, 0}};
        for (const pollfd& end : ends) {
            if (end.fd == server) {
                if ((end.revents & POLLIN) != 0) next.push_back({accept(server, nullptr, nullptr), POLLIN, 0});
                continue;
            }
            char text[1024];
            const ssize_t size = end.revents == 0 ? 0 : read(end.fd, text, sizeof text);
            if (end.revents != 0 && (size <= 0 || write(end.fd, text, static_cast<std::size_t>(size)) != size))
                close(end.fd);
            else
                next.push_back({end.fd, POLLIN, 0});
        }
        ends = next;
    }
}

int talk(const char* address, const char* port) {
    const int line = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in where = endpoint(address, port);
    if (connect(line, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
        say("refused:", std::strerror(errno));
        return 1;
    }
    say("connected");
    for (unsigned long count = 1;; ++count) {
        const std::string word = std::to_string(count) + "\n";
        if (write(line, word.data(), word.size()) < 0) return say("ended:", std::strerror(errno));
        pollfd wait{line, POLLIN, 0};
        const timespec until{.tv_sec = 1, .tv_nsec = 0};
        if (ppoll(&wait, 1, &until, nullptr) > 0) {
            char text[1024];
            const ssize_t size = read(line, text, sizeof text);
            if (size <= 0) return say("ended:", size == 0 ? "closed" : std::strerror(errno));
            std::string heard(text, static_cast<std::size_t>(size));
            while (!heard.empty() && heard.back() == '\n') heard.pop_back();
            say("heard", heard.substr(heard.rfind('\n') + 1));
            sleep(1);
        }
    }
}

std::string bytes_of(std::string_view hex) {
    std::string bytes;
    std::string pair;
    for (const char c : hex) {
        if (c == ':' || c == ' ') continue;
        pair += c;
        if (pair.size() == 2) bytes += static_cast<char>(std::strtol(pair.c_str(), nullptr, 16)), pair.clear();
    }
    return bytes;
}

int raw(const char* interface) {
    const int wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_protocol = htons(ETH_P_ALL);
    where.sll_ifindex = static_cast<int>(if_nametoindex(interface));
    if (wire < 0 || bind(wire, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) return -1;
    return wire;
}

int frame(const char* interface, const char* hex) {
    const int wire = raw(interface);
    if (wire < 0) return failed(interface);
    std::string bytes = bytes_of(hex);
    if (bytes.size() < 60) bytes.resize(60);
    if (send(wire, bytes.data(), bytes.size(), 0) < 0) return failed("send");
    return say("sent", std::to_string(bytes.size()));
}

int see(const char* interface, const char* mark, const char* seconds) {
    const int wire = raw(interface);
    if (wire < 0) return failed(interface);
    // Or the network card itself would leave out what is tagged for a VLAN that nobody here is in.
    packet_mreq all{};
    all.mr_ifindex = static_cast<int>(if_nametoindex(interface));
    all.mr_type = PACKET_MR_PROMISC;
    if (setsockopt(wire, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0) return failed(interface);
    say("looking for", mark);
    const time_t end = std::time(nullptr) + std::atol(seconds);
    char text[4096];
    pollfd wait{wire, POLLIN, 0};
    while (std::time(nullptr) <= end) {
        if (poll(&wait, 1, 200) <= 0) continue;
        const ssize_t size = recv(wire, text, sizeof text, 0);
        if (size > 0 && std::string_view(text, static_cast<std::size_t>(size)).find(mark) != std::string_view::npos)
            return say("seen", mark);
    }
    say("not seen", mark);
    return 1;
}

}  // namespace

int main(int count, char** words) {
    std::signal(SIGPIPE, SIG_IGN);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string_view verb = count > 1 ? words[1] : "";
    if (verb == "beat" && count == 4) return beat(words[2], words[3]);
    if (verb == "serve" && count == 3) return serve(words[2]);
    if (verb == "talk" && count == 4) return talk(words[2], words[3]);
    if (verb == "frame" && count == 4) return frame(words[2], words[3]);
    if (verb == "see" && count == 5) return see(words[2], words[3], words[4]);
    std::fprintf(
        stderr,
        "hand: beat FILE BOOT | serve PORT | talk ADDRESS PORT | frame INTERFACE HEX | see INTERFACE MARK SECONDS\n");
    return 2;
}
