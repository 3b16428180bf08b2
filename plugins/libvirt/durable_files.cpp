#include "plugins/libvirt/durable_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using base::FileDescriptor;
using base::Result;

fs::path beside(const fs::path& path) { return path.parent_path() / ("." + path.filename().string() + ".new"); }

}  // namespace

base::Error file_error(std::string attempt, const fs::path& path, int error_number) {
    std::string advice;
    if (error_number == ENOSPC || error_number == EDQUOT) advice = "free some space there and apply again";
    if (error_number == EACCES || error_number == EPERM) advice = "run it as root";
    if (error_number == EROFS) advice = "the file system is read-only; see why (dmesg) and mount it again";
    return {.attempt = std::move(attempt),
            .object = path.string(),
            .cause = base::errno_text(error_number),
            .advice = std::move(advice)};
}

Result<void> flush(int descriptor, const fs::path& path) {
    if (::fsync(descriptor) != 0) return base::fail(file_error("flush", path, errno));
    return {};
}

Result<void> move_into_place(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return base::fail(file_error("put in place", to, errno));
    const FileDescriptor directory(::open(to.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return base::fail(file_error("open", to.parent_path(), errno));
    return flush(directory.get(), to.parent_path());
}

Result<void> replace_file(const fs::path& path, std::string_view content) {
    const fs::path next = beside(path);
    const FileDescriptor file(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return base::fail(file_error("write", path, errno));
    while (!content.empty()) {
        const ssize_t written = ::write(file.get(), content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return base::fail(file_error("write", path, errno));
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    if (Result<void> flushed = flush(file.get(), path); !flushed) return flushed;
    return move_into_place(next, path);
}

Result<void> replace_link(const fs::path& path, const fs::path& target) {
    const fs::path next = beside(path);
    if (::unlink(next.c_str()) != 0 && errno != ENOENT) return base::fail(file_error("replace", path, errno));
    if (::symlink(target.c_str(), next.c_str()) != 0) return base::fail(file_error("make", path, errno));
    return move_into_place(next, path);
}

Result<std::optional<std::string>> read_small_file(const fs::path& path, std::size_t most) {
    // Non-blocking, so that a FIFO put in the file's place cannot hold us.
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file) return base::fail(file_error("read", path, errno));
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return base::fail(file_error("look at", path, errno));
    if (!S_ISREG(status.st_mode))
        return base::fail({.attempt = "read",
                           .object = path.string(),
                           .cause = "it is no regular file",
                           .advice = "put a regular file there"});
    std::string content(most + 1, '\0');
    std::size_t filled = 0;
    while (filled < content.size()) {
        const ssize_t got = ::read(file.get(), content.data() + filled, content.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::fail(file_error("read", path, errno));
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
    }
    content.resize(filled);
    return content;
}

std::optional<fs::path> read_link(const fs::path& path) {
    std::error_code error;
    fs::path target = fs::read_symlink(path, error);
    if (error) return std::nullopt;
    return target;
}

}  // namespace safe::libvirt
