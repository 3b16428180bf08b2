#include "plugins/luks/mapper_devices.hpp"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::luks {
namespace {

using base::FileDescriptor;
using base::Result;
namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code none;  // a device without that folder has nothing there
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, none))
        names.push_back(entry.path().filename());
    return names;
}

fs::path device_of(const std::string& name) { return fs::path("/dev/mapper") / name; }

/// One question to the kernel, with room for one target (dm-ioctl.h).
struct Question {
    dm_ioctl head;
    dm_target_spec target;
    std::array<char, 4096> rest;
};

Question about(const std::string& name, unsigned flags) {
    Question question{};
    question.head.version[0] = DM_VERSION_MAJOR;
    question.head.data_size = sizeof question;
    question.head.data_start = offsetof(Question, target);
    question.head.flags = flags;
    std::ranges::copy(name.substr(0, sizeof question.head.name - 1), question.head.name);
    return question;
}

/// 0, or an errno value.
int ask(unsigned long what, Question& question) {
    const FileDescriptor control(::open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
    if (!control) return errno;
    return ::ioctl(control.get(), what, &question) == 0 ? 0 : errno;
}

std::unexpected<base::Error> failed(std::string attempt, const std::string& name, int error) {
    return base::fail({std::move(attempt), device_of(name).string(), base::errno_text(error), "run as root"});
}

bool no_such_device(int error) { return error == ENXIO || error == ENOENT; }

}  // namespace

Result<std::string> target_of(const std::string& name) {
    // The state, never the table: that may hold a key. Nor is anything written out first, which dead storage would hold
    // up.
    Question question = about(name, DM_NOFLUSH_FLAG);
    if (const int error = ask(DM_TABLE_STATUS, question); error != 0)
        return no_such_device(error) ? Result<std::string>(std::string()) : failed("ask for the state of", name, error);
    if (question.head.target_count == 0) return std::string();
    const char* const type = question.target.target_type;
    return std::string(type, ::strnlen(type, sizeof question.target.target_type));
}

Result<bool> resume_device(const std::string& name) {
    Question question = about(name, 0);
    const int error = ask(DM_DEV_SUSPEND, question);
    if (error == EAGAIN) return false;  // crypt_preresume of drivers/md/dm-crypt.c
    return error == 0 ? Result<bool>(true) : failed("resume", name, error);
}

Result<void> replace_by_errors(const std::string& name) {
    constexpr const char* attempt = "take the key out of";
    const Result<std::string> target = target_of(name);
    if (!target) return base::fail(target.error());
    if (target->empty() || *target == "error") return {};
    // The same length; what it was is said by the state of the old target.
    Question old = about(name, DM_NOFLUSH_FLAG);
    if (const int error = ask(DM_TABLE_STATUS, old); error != 0) return failed(attempt, name, error);
    Question load = about(name, old.head.flags & DM_READONLY_FLAG);
    load.head.target_count = 1;
    load.target.length = old.target.length;
    std::ranges::copy(std::string_view("error"), load.target.target_type);
    load.target.next = sizeof load.target + sizeof(std::uint64_t);
    if (const int error = ask(DM_TABLE_LOAD, load); error != 0) return failed(attempt, name, error);
    Question suspend = about(name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
    if (const int error = ask(DM_DEV_SUSPEND, suspend); error != 0) return failed(attempt, name, error);
    Question resume = about(name, 0);
    if (const int error = ask(DM_DEV_SUSPEND, resume); error != 0) return failed(attempt, name, error);
    return {};
}

Result<bool> remove_device(const std::string& name) {
    Question question = about(name, 0);
    const int error = ask(DM_DEV_REMOVE, question);
    if (error == EBUSY) return false;
    if (error != 0 && !no_such_device(error)) return failed("remove", name, error);
    // Where no udev keeps /dev, the name stays behind.
    if (::unlink(device_of(name).c_str()) != 0 && errno != ENOENT) return failed("remove", name, errno);
    return true;
}

Result<std::vector<Mapping>> list_mappings(const fs::path& block_devices) {
    std::vector<Mapping> found;
    std::error_code error;
    fs::directory_iterator devices(block_devices, error);
    // A kernel without any block device has no such folder; sysfs itself must be there.
    if (error && (error != std::errc::no_such_file_or_directory || !fs::exists(block_devices.parent_path())))
        return base::fail({"list", "the devices of device-mapper", error.message(), "is /sys mounted?"});
    if (error) return found;
    for (; devices != fs::directory_iterator(); devices.increment(error)) {
        if (error) return base::fail({"list", "the devices of device-mapper", error.message(), ""});
        const fs::path device = devices->path();
        std::error_code gone;
        if (!fs::is_directory(device / "dm", gone)) continue;
        Mapping mapping{.name = first_line(device / "dm/name"),
                        .uuid = first_line(device / "dm/uuid"),
                        .device = first_line(device / "dev"),
                        .read_only = first_line(device / "ro") == "1",
                        .suspended = first_line(device / "dm/suspended") == "1",
                        .lies_on = names_in(device / "slaves"),
                        .holders = names_in(device / "holders")};
        if (mapping.name.empty()) continue;
        Result<std::string> target = target_of(mapping.name);
        if (!target) return base::fail(target.error());
        mapping.target = *std::move(target);
        found.push_back(std::move(mapping));
    }
    return found;
}

Result<bool> begins_with_file_system(const std::string& name) {
    const fs::path device = device_of(name);
    const FileDescriptor file(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
    std::string start(2048, '\0');
    if (!file || ::pread(file.get(), start.data(), start.size(), 0) != static_cast<ssize_t>(start.size()))
        return base::fail({"look into", device.string(), base::errno_text(errno), ""});
    constexpr std::size_t ext4_magic_at = 1024 + 56;
    return start.starts_with("XFSB") || start.substr(ext4_magic_at, 2) == "\x53\xef";
}

Result<bool> is_mounted(const std::string& name, const fs::path& place) {
    const fs::path device = device_of(name);
    struct stat mapping{};
    struct stat root{};
    if (::stat(device.c_str(), &mapping) != 0)
        return base::fail({"look at", device.string(), base::errno_text(errno), ""});
    if (::stat(place.c_str(), &root) != 0) return base::fail({"look at", place.string(), base::errno_text(errno), ""});
    return S_ISBLK(mapping.st_mode) && root.st_dev == mapping.st_rdev;
}

}  // namespace safe::luks
