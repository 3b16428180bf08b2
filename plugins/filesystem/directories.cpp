#include "plugins/filesystem/directories.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;
using base::errno_text;
using base::fail;
using base::FileDescriptor;
using base::Result;

constexpr mode_t root_only = 0700;
constexpr mode_t passable = 0711;
constexpr mode_t everybodys = 01777;
constexpr mode_t as_mkfs_leaves_it = 0755;
constexpr mode_t permissions = 07777;

std::string described(uid_t owner, gid_t group, mode_t mode) {
    return fmt::format("{}:{} {:04o}", owner, group, mode & permissions);
}

Result<FileDescriptor> open_directory(int at, const fs::path& name) {
    FileDescriptor opened(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return fail({"open", name.string(), errno_text(errno), "look what is there"});
    return opened;
}

Result<void> own(const FileDescriptor& directory, const std::string& name, mode_t mode) {
    if (::fchown(directory.get(), 0, 0) == 0 && ::fchmod(directory.get(), mode) == 0) return {};
    return fail({"set the owner and mode of", name, errno_text(errno), "run as root"});
}

bool pristine(const fs::path& root) {
    struct stat status{};
    if (::lstat(root.c_str(), &status) != 0 || status.st_uid != 0 || status.st_gid != 0 ||
        (status.st_mode & permissions) != as_mkfs_leaves_it)
        return false;
    std::error_code error;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error))
        if (it->path().filename() != "lost+found") return false;
    return !error;
}

}  // namespace

std::vector<Directory> directories_of(specs::VolumeRole role) {
    switch (role) {
        case specs::VolumeRole::vault:
            return {{".", passable}, {"disks", passable}, {"keys", root_only}, {"memory", root_only}};
        case specs::VolumeRole::disks:
            return {{".", passable}, {"disks", passable}};
        case specs::VolumeRole::data:
            return {};
    }
    return {};
}

model::Branch wanted_directories(const std::vector<Directory>& directories) {
    model::Branch branch;
    for (const Directory& directory : directories) branch.set(directory.name, described(0, 0, directory.mode));
    return branch;
}

model::Branch look_at_directories(const fs::path& root, const std::vector<Directory>& directories) {
    model::Branch branch;
    for (const Directory& directory : directories) {
        struct stat status{};
        const fs::path path = root / directory.name;
        if (::lstat(path.c_str(), &status) != 0) {
            // On storage that has died, too, a mount must be seen, or it would never be taken down.
            branch.set(directory.name, errno == ENOENT ? std::string("missing") : "unreadable: " + errno_text(errno));
        } else if (!S_ISDIR(status.st_mode)) {
            branch.set(directory.name, "no directory");
        } else {
            branch.set(directory.name, described(status.st_uid, status.st_gid, status.st_mode));
        }
    }
    return branch;
}

Result<void> make_directories(const fs::path& root, const std::vector<Directory>& directories) {
    auto top = open_directory(AT_FDCWD, root);
    if (!top) return fail(top.error());
    for (const auto& [name, mode] : directories) {
        // Narrow first, so that nobody gets in before it is as it should be.
        if (name != "." && ::mkdirat(top->get(), name.c_str(), root_only) != 0 && errno != EEXIST)
            return fail({"make", (root / name).string(), errno_text(errno),
                         errno == ENOSPC ? "free some space on the volume" : "see the kernel's log"});
        auto directory = open_directory(top->get(), name);
        if (!directory) return fail(directory.error());
        if (auto owned = own(*directory, (root / name).string(), mode); !owned) return owned;
    }
    if (::syncfs(top->get()) != 0) return fail({"write out", root.string(), errno_text(errno), "see the kernel's log"});
    return {};
}

Result<void> hand_to_members(const fs::path& root) {
    if (!pristine(root)) return {};
    auto top = open_directory(AT_FDCWD, root);
    if (!top) return fail(top.error());
    return own(*top, root.string(), everybodys);
}

Result<void> make_place(const fs::path& directory) {
    std::error_code error;
    fs::create_directories(directory.parent_path(), error);
    if (!error && (::mkdir(directory.c_str(), root_only) == 0 || errno == EEXIST)) {
        auto opened = open_directory(AT_FDCWD, directory);
        if (!opened) return fail(opened.error());
        return own(*opened, directory.string(), passable);
    }
    return fail({"make", directory.string(), error ? error.message() : errno_text(errno), "run as root"});
}

}  // namespace safe::filesystem
