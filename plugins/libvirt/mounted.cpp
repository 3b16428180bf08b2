#include "plugins/libvirt/mounted.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "plugins/libvirt/durable_files.hpp"
#include "reconciler/base/file_descriptor.hpp"

namespace safe::libvirt {
namespace {

constexpr const char* mountinfo_path = "/proc/self/mountinfo";
constexpr int field_of_mount_point = 4;  // counted from 0

std::string_view field(std::string_view line, int index) {
    for (; index > 0; --index) {
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos) return {};
        line.remove_prefix(space + 1);
    }
    return line.substr(0, line.find(' '));
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// The kernel writes space, tab, line break and backslash as \ooo.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string_view digits = text.substr(i).substr(1, 3);
        if (text[i] != '\\' || digits.size() < 3 || !is_octal(digits[0]) || !is_octal(digits[1]) ||
            !is_octal(digits[2])) {
            plain += text[i];
            continue;
        }
        plain += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
        i += 3;
    }
    return plain;
}

}  // namespace

bool lists_mount(std::string_view mountinfo, std::string_view directory) {
    while (!mountinfo.empty()) {
        const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
        mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
        if (unescape(field(line, field_of_mount_point)) == directory) return true;
    }
    return false;
}

base::Result<bool> is_mounted(const std::filesystem::path& directory) {
    const base::FileDescriptor file(::open(mountinfo_path, O_RDONLY | O_CLOEXEC));
    if (!file) return base::fail(file_error("read", mountinfo_path, errno));
    std::string text;
    std::array<char, 65536> part{};
    for (;;) {
        const ssize_t got = ::read(file.get(), part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::fail(file_error("read", mountinfo_path, errno));
        if (got == 0) return lists_mount(text, directory.string());
        text.append(part.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace safe::libvirt
