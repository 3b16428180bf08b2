#include "plugins/libvirt/emulators.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include "reconciler/base/file_descriptor.hpp"
#include "specs/identity.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;

/// Nothing of a process that has ended, before it is looked at or meanwhile.
std::string command_of(const fs::path& process) {
    const base::FileDescriptor file(::open((process / "cmdline").c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    std::array<char, 8192> piece{};
    while (file) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got <= 0) break;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
    return text;
}

std::vector<std::string> arguments_of(const fs::path& process) {
    const std::string text = command_of(process);
    std::vector<std::string> arguments;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\0', at), text.size());
        arguments.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return arguments;
}

std::string_view value_of(const std::vector<std::string>& arguments, std::string_view option) {
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
        if (arguments[i] == option) return arguments[i + 1];
    return {};
}

/// libvirt starts QEMU with `-name guest=NAME,debug-threads=on … -uuid UUID`.
std::optional<Emulator> emulator(const fs::path& process, const std::string& safe) {
    const std::vector<std::string> arguments = arguments_of(process);
    std::string_view name = value_of(arguments, "-name");
    constexpr std::string_view guest = "guest=";
    if (!name.starts_with(guest)) return std::nullopt;
    name = name.substr(guest.size(), name.find(',') - guest.size());
    const std::string prefix = safe + "-";
    if (!name.starts_with(prefix)) return std::nullopt;
    Emulator found{.vm = std::string(name.substr(prefix.size())), .uuid = std::string(value_of(arguments, "-uuid"))};
    // Another safe's name may begin like ours; its UUIDs do not.
    if (found.uuid != specs::uuid_of(safe, found.vm)) return std::nullopt;
    const std::string number = process.filename();
    std::from_chars(number.data(), number.data() + number.size(), found.process);
    return found;
}

std::string network_of(const fs::path& process) {
    std::error_code failed;
    return fs::read_symlink(process / "ns" / "net", failed).string();
}

}  // namespace

base::Result<std::vector<Emulator>> emulators_of(const std::string& safe, const fs::path& proc) {
    std::vector<Emulator> found;
    std::error_code failed;
    const std::string here = network_of(proc / "self");
    for (fs::directory_iterator entry(proc, failed); !failed && entry != fs::directory_iterator();
         entry.increment(failed)) {
        const std::string name = entry->path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::optional<Emulator> one = emulator(entry->path(), safe);
        if (one && network_of(entry->path()) == here) found.push_back(std::move(*one));
    }
    if (failed)
        return base::fail({.attempt = "list the processes of guests",
                           .object = proc.string(),
                           .cause = failed.message(),
                           .advice = "mount /proc"});
    return found;
}

bool still_runs(const Emulator& emulator, const fs::path& proc) {
    const fs::path process = proc / std::to_string(emulator.process);
    return value_of(arguments_of(process), "-uuid") == emulator.uuid;
}

}  // namespace safe::libvirt
