#include "reconciler/verify/nfs.hpp"

#include <algorithm>
#include <charconv>
#include <span>

#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

/// What stands in quotes after `key`; empty when it does not occur.
std::string_view quoted_after(std::string_view line, std::string_view key) {
    const std::size_t place = line.find(key);
    if (place == std::string_view::npos) return {};
    const std::size_t begin = line.find('"', place);
    if (begin == std::string_view::npos) return {};
    return line.substr(begin + 1, line.find('"', begin + 1) - begin - 1);
}

std::uint32_t hexadecimal(std::string_view text) {
    std::uint32_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number, 16);
    return number;
}

}  // namespace

std::vector<Export> parse_exports(std::string_view text) {
    std::vector<Export> exports;
    for (const std::string_view line : lines_of(text)) {
        const std::vector<std::string_view> words = words_of(line);
        if (line.starts_with('#') || words.empty()) continue;
        const std::string path = without_escapes(words[0]);
        if (words.size() == 1) exports.push_back({path, "*", false, false});
        for (const std::string_view word : std::span(words).subspan(1)) {
            const std::size_t begin = std::min(word.find('('), word.size());
            std::string_view options = word.substr(std::min(begin + 1, word.size()));
            if (options.ends_with(')')) options.remove_suffix(1);
            const std::vector<std::string_view> parts = parts_of(options, ',');
            std::string client(word.substr(0, begin));
            // The kernel's table has a single address as a network of one.
            const std::string_view one = client.find(':') == std::string::npos ? "/32" : "/128";
            if (client.ends_with(one)) client.resize(client.size() - one.size());
            const auto says = [&](std::string_view option) { return std::ranges::find(parts, option) != parts.end(); };
            exports.push_back({path, client.empty() ? "*" : client, says("ro"), says("v4root")});
        }
    }
    return exports;
}

NfsClient parse_client(std::string id, std::string_view info, std::string_view states) {
    NfsClient client{.id = std::move(id), .address = std::string(quoted_after(info, "address:")), .filesystems = {}};
    client.address = client.address.substr(0, client.address.rfind(':'));
    for (const std::string_view line : lines_of(states)) {
        const std::vector<std::string_view> parts = parts_of(quoted_after(line, "superblock:"), ':');
        if (parts.size() != 3) continue;
        const DeviceNumber number{hexadecimal(parts[0]), hexadecimal(parts[1])};
        if (std::ranges::find(client.filesystems, number) == client.filesystems.end())
            client.filesystems.push_back(number);
    }
    return client;
}

base::Result<bool> nfs_server_loaded(const System& system) {
    for (const char* trace : {"/sys/module/nfsd", "/proc/fs/nfsd/exports"}) {
        const Seen<FileFacts> facts = system.status(trace);
        if (!facts) return base::fail(facts.error());
        if (facts.there()) return true;
    }
    return false;
}

}  // namespace safe::verify
