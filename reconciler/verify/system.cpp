#include "reconciler/verify/system.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;

constexpr std::size_t most_read = std::size_t{16} << 20;

/// ESRCH is how procfs says that a process has ended meanwhile.
bool means_gone(int error_number) { return error_number == ENOENT || error_number == ENOTDIR || error_number == ESRCH; }

std::unexpected<Error> unseen(const fs::path& path, int error_number) {
    const bool denied = error_number == EACCES || error_number == EPERM;
    return base::fail({.attempt = "look at",
                       .object = path.string(),
                       .cause = base::errno_text(error_number),
                       .advice = denied ? "run as root, outside any sandbox" : ""});
}

Seen<std::string> read_up_to(const fs::path& path, std::size_t limit, bool whole) {
    const base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file) {
        if (means_gone(errno)) return std::nullopt;
        return unseen(path, errno);
    }
    std::string content;
    std::array<char, 65536> buffer{};
    while (content.size() < limit) {
        const std::size_t room = std::min(buffer.size(), limit - content.size());
        const ssize_t got = ::read(file.get(), buffer.data(), room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && means_gone(errno)) return std::nullopt;
        if (got < 0) return unseen(path, errno);
        if (got == 0) return content;
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (whole) return base::fail({.attempt = "look at", .object = path.string(), .cause = "it is too large"});
    return content;
}

FileFacts::Type type_of(unsigned mode) {
    if (S_ISREG(mode)) return FileFacts::Type::file;
    if (S_ISDIR(mode)) return FileFacts::Type::directory;
    return S_ISBLK(mode) ? FileFacts::Type::block : FileFacts::Type::other;
}

Seen<FileFacts> status_of(const fs::path& path, bool follow) {
    struct statx facts{};
    // Without asking a server: a file on dead network storage must not hold us.
    const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (::statx(AT_FDCWD, path.c_str(), flags, STATX_BASIC_STATS, &facts) != 0) {
        if (means_gone(errno)) return std::nullopt;
        return unseen(path, errno);
    }
    return FileFacts{.type = type_of(facts.stx_mode),
                     .mode = facts.stx_mode & 07777U,
                     .owner = facts.stx_uid,
                     .filesystem = {facts.stx_dev_major, facts.stx_dev_minor},
                     .inode = facts.stx_ino,
                     .device = {facts.stx_rdev_major, facts.stx_rdev_minor}};
}

}  // namespace

std::string to_text(DeviceNumber number) { return fmt::format("{}:{}", number.major, number.minor); }

std::optional<DeviceNumber> parse_device_number(std::string_view text) {
    const std::vector<std::string_view> parts = parts_of(text, ':');
    if (parts.size() != 2) return std::nullopt;
    const auto major = number_of(parts[0]);
    const auto minor = number_of(parts[1]);
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    if (!major || !minor || *major > most || *minor > most) return std::nullopt;
    return DeviceNumber{static_cast<std::uint32_t>(*major), static_cast<std::uint32_t>(*minor)};
}

System::System() : System("/", base::run_process, status_of) {}

System::System(fs::path root, Run run, Status status)
    : root_(std::move(root)), run_(std::move(run)), status_(std::move(status)) {}

fs::path System::below(const fs::path& path) const { return root_ / path.relative_path(); }

Seen<std::string> System::read(const fs::path& path) const { return read_up_to(below(path), most_read, true); }

Seen<std::string> System::read_line(const fs::path& path) const {
    Seen<std::string> content = read(path);
    if (content.there())
        while (content.value().ends_with('\n')) content.value().pop_back();
    return content;
}

Seen<std::string> System::read_start(const fs::path& path, std::size_t size) const {
    return read_up_to(below(path), size, false);
}

Seen<std::vector<std::string>> System::list(const fs::path& path) const {
    std::error_code error;
    std::vector<std::string> names;
    fs::directory_iterator entry(below(path), error);
    // Counted on step by step: a directory of procfs changes while it is read.
    while (!error && entry != fs::directory_iterator()) {
        names.push_back(entry->path().filename().string());
        entry.increment(error);
    }
    if (error && means_gone(error.value())) return std::nullopt;
    if (error) return unseen(path, error.value());
    std::ranges::sort(names);
    return names;
}

Seen<std::string> System::link(const fs::path& path) const {
    std::array<char, 4096> target{};
    const ssize_t length = ::readlink(below(path).c_str(), target.data(), target.size());
    if (length < 0 && means_gone(errno)) return std::nullopt;
    if (length < 0) return unseen(path, errno);
    return std::string(target.data(), static_cast<std::size_t>(length));
}

Seen<FileFacts> System::status(const fs::path& path) const { return status_(below(path), true); }

Seen<FileFacts> System::link_status(const fs::path& path) const { return status_(below(path), false); }

Result<base::Finished> System::run(const std::vector<std::string>& arguments) const {
    std::vector<std::string> bounded{"timeout", "30"};
    bounded.insert(bounded.end(), arguments.begin(), arguments.end());
    return run_(bounded);
}

}  // namespace safe::verify
