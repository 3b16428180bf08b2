#include "plugins/nfs/nfs_text.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstdint>
#include <optional>
#include <sstream>

namespace safe::nfs {
namespace {

constexpr std::string_view nfs_port = "0801";       // 2049, as /proc/net/tcp has it
constexpr std::string_view listening_state = "0A";  // TCP_LISTEN

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// "\040" for a space and the like.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
            is_octal(text[i + 3])) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::set<std::string> split(std::string_view text, char separator) {
    std::set<std::string> parts;
    while (!text.empty()) {
        const auto end = text.find(separator);
        if (end != 0) parts.emplace(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return parts;
}

std::optional<Export> parse_line(std::string_view line) {
    const auto path_end = line.find_first_of("\t ");
    if (path_end == std::string_view::npos || line.front() != '/') return std::nullopt;
    const auto client_start = line.find_first_not_of("\t ", path_end);
    const auto open = line.find('(', path_end);
    const auto close = line.find(')', open);
    if (client_start == std::string_view::npos || open == std::string_view::npos || close == std::string_view::npos ||
        client_start >= open)
        return std::nullopt;
    std::string_view client = line.substr(client_start, open - client_start);
    // rpc.mountd marks with '$' a client that it names to the kernel by address.
    if (client.starts_with('$')) client.remove_prefix(1);
    return Export{unescaped(line.substr(0, path_end)), std::string(client),
                  split(line.substr(open + 1, close - open - 1), ',')};
}

/// "0100007F" or four of these: words in the byte order of the machine, each read from memory as it lies there.
std::string address_text(const std::string& hex) {
    std::array<std::uint32_t, 4> words{};
    const std::size_t count = hex.size() / 8;
    if (count != 1 && count != words.size()) return "?";
    for (std::size_t i = 0; i < count; ++i)
        words.at(i) = static_cast<std::uint32_t>(std::stoul(hex.substr(i * 8, 8), nullptr, 16));
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = count == 1 ? AF_INET : AF_INET6;
    if (::inet_ntop(family, words.data(), text.data(), text.size()) == nullptr) return "?";
    return count == 1 ? std::string(text.data()) : fmt::format("[{}]", text.data());
}

}  // namespace

base::Result<std::vector<Export>> parse_exports(std::string_view text, const std::string& file) {
    std::vector<Export> found;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() == text.size() ? text.size() : line.size() + 1);
        if (line.empty() || line.front() == '#') continue;
        auto one = parse_line(line);
        if (!one)
            return base::fail({"read", file, fmt::format("a line is not understood: {}", line),
                               "look at `exportfs -v`; report this with the line"});
        found.push_back(*std::move(one));
    }
    return found;
}

std::vector<Export> parse_handles(std::string_view text) {
    std::vector<Export> found;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('#')) continue;
        std::istringstream fields(line);
        std::string client;
        std::string type;
        std::string identity;
        std::string path;
        if (!(fields >> client >> type >> identity >> path)) continue;
        if (client.starts_with('$')) client.erase(0, 1);
        found.push_back({unescaped(path), client});
    }
    return found;
}

std::set<std::string> parse_versions(std::string_view text) {
    std::set<std::string> versions;
    std::istringstream words{std::string(text)};
    bool minors = false;
    for (std::string word; words >> word;) {
        minors = minors || word.find('.') != std::string::npos;
        if (word.starts_with('+')) versions.insert(word.substr(1));
    }
    if (minors) versions.erase("4");
    return versions;
}

std::set<std::string> parse_listeners(std::string_view text) {
    std::set<std::string> found;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string slot;
        std::string local;
        std::string remote;
        std::string state;
        std::string queues;
        std::string timer;
        std::string retransmitted;
        std::string owner;
        fields >> slot >> local >> remote >> state >> queues >> timer >> retransmitted >> owner;
        const auto colon = local.find(':');
        // The server's own are root's; anybody may listen at the same port of another address.
        if (state != listening_state || owner != "0" || colon == std::string::npos ||
            local.substr(colon + 1) != nfs_port)
            continue;
        found.insert(address_text(local.substr(0, colon)) + ":2049");
    }
    return found;
}

std::string parse_client_address(std::string_view info) {
    constexpr std::string_view key = "address: \"";
    const auto at = info.find(key);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = info.substr(at + key.size());
    const std::string_view address = rest.substr(0, rest.find('"'));
    return std::string(address.substr(0, address.rfind(':')));
}

bool holds_state_on(std::string_view states, dev_t device) {
    const std::string wanted = fmt::format("superblock: \"{:02x}:{:02x}:", major(device), minor(device));
    return states.find(wanted) != std::string_view::npos;
}

}  // namespace safe::nfs
