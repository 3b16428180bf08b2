#include "reconciler/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::base {
namespace {

std::unexpected<Error> file_error(std::string attempt, const std::filesystem::path& path, int error_number,
                                  std::string advice = {}) {
    return fail({std::move(attempt), path.string(), errno_text(error_number), std::move(advice)});
}

Result<void> write_all(int descriptor, std::string_view content, const std::filesystem::path& path) {
    while (!content.empty()) {
        const ssize_t written = ::write(descriptor, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_error("write", path, errno, "make room on the disk");
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(descriptor) != 0) return file_error("write", path, errno, "make room on the disk");
    return {};
}

Result<void> sync_directory(const std::filesystem::path& directory) {
    const FileDescriptor handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!handle || ::fsync(handle.get()) != 0) return file_error("sync the directory", directory, errno);
    return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
    // Non-blocking, so that a FIFO put in the file's place cannot hold us.
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return file_error("read", path, errno);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return file_error("read", path, errno);
    if (!S_ISREG(status.st_mode)) return fail({"read", path.string(), "it is not a regular file"});
    std::string content;
    std::array<char, 65536> buffer{};
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_error("read", path, errno);
        if (got == 0) return content;
        content.append(buffer.data(), static_cast<std::size_t>(got));
        if (content.size() > limit) return fail({"read", path.string(), "it is larger than it may be"});
    }
}

Result<void> replace_file(const std::filesystem::path& path, std::string_view content, mode_t mode) {
    const std::filesystem::path fresh = path.string() + ".new";
    const FileDescriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) return file_error("write", fresh, errno);
    if (Result<void> written = write_all(file.get(), content, fresh); !written) {
        ::unlink(fresh.c_str());
        return written;
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) return file_error("replace", path, errno);
    const std::filesystem::path parent = path.parent_path();
    return sync_directory(parent.empty() ? "." : parent);
}

Result<void> create_file(const std::filesystem::path& path, std::string_view content, mode_t mode) {
    const auto exists = [&] {
        return fail({"make", path.string(), "there is something of that name already", "name another file",
                     Error::Kind::refused});
    };
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0) return exists();
    std::string fresh = path.string() + ".XXXXXX";
    const FileDescriptor file(::mkostemp(fresh.data(), O_CLOEXEC));
    if (!file) return file_error("make", path, errno);
    const auto give_up = [&](Result<void> why) {
        ::unlink(fresh.c_str());
        return why;
    };
    if (::fchmod(file.get(), mode) != 0 || ::fstat(file.get(), &status) != 0)
        return give_up(file_error("make", path, errno));
    if ((status.st_mode & 07777U) != mode)
        return give_up(fail({"make", path.string(), "this file system keeps no permissions: others could read it",
                             "name a place on another one"}));
    if (const Result<void> written = write_all(file.get(), content, path); !written) return give_up(written);
    // Checked and named in one call: nobody's file is replaced, however late it came.
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0)
        return give_up(errno == EEXIST ? Result<void>(exists()) : file_error("make", path, errno));
    const std::filesystem::path parent = path.parent_path();
    return sync_directory(parent.empty() ? "." : parent);
}

}  // namespace safe::base
