#include "reconciler/applying/lock_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace safe::applying {
namespace {

std::string holder(int descriptor) {
    std::array<char, 32> text{};
    const ssize_t length = ::pread(descriptor, text.data(), text.size(), 0);
    return length > 0 ? "process " + std::string(text.data(), static_cast<std::size_t>(length)) : "another process";
}

}  // namespace

base::Result<LockFile> LockFile::take(const std::filesystem::path& path) {
    const auto error = [&](std::string cause, std::string advice, base::Error::Kind kind) {
        return base::fail({"take the lock", path.string(), std::move(cause), std::move(advice), kind});
    };
    base::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file && errno == EROFS) file = base::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file)
        return error(base::errno_text(errno), "run as root, or name another --state-dir", base::Error::Kind::failed);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return error(base::errno_text(errno), "", base::Error::Kind::failed);
        return error(holder(file.get()) + " is applying to this safe", "wait until it has ended and apply again",
                     base::Error::Kind::refused);
    }
    const std::string self = fmt::format("{}", ::getpid());
    static_cast<void>(::ftruncate(file.get(), 0) == 0 && ::pwrite(file.get(), self.data(), self.size(), 0) > 0);
    return LockFile(std::move(file));
}

}  // namespace safe::applying
