#include <blkid/blkid.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libmount/libmount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "plugins/filesystem/filesystem_api.hpp"
#include "plugins/filesystem/holders.hpp"
#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/process.hpp"
#include "reconciler/base/unique_handle.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;
using base::errno_text;
using base::Error;
using base::fail;
using base::Result;

using Probe = base::UniqueHandle<blkid_struct_probe, blkid_free_probe>;
using MountTable = base::UniqueHandle<libmnt_table, mnt_unref_table>;
using MountIterator = base::UniqueHandle<libmnt_iter, mnt_free_iter>;
using OpenDirectory = base::UniqueHandle<DIR, ::closedir>;
using MountContext = base::UniqueHandle<libmnt_context, mnt_free_context>;

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

bool has_option(const char* options, const char* name) {
    char* value = nullptr;
    std::size_t size = 0;
    return options != nullptr && mnt_optstr_get_option(options, name, &value, &size) == 0;
}

/// "shared:5 master:1" → 5.
std::optional<int> peer_group_of(const std::string& fields) {
    constexpr std::string_view key = "shared:";
    const auto at = fields.find(key);
    if (at == std::string::npos) return std::nullopt;
    return std::stoi(fields.substr(at + key.size()));
}

MountEntry entry_of(libmnt_fs* mounted) {
    const char* own = mnt_fs_get_vfs_options(mounted);
    const char* whole = mnt_fs_get_fs_options(mounted);
    return {.source = text_of(mnt_fs_get_source(mounted)),
            .device = mnt_fs_get_devno(mounted),
            .target = text_of(mnt_fs_get_target(mounted)),
            .type = text_of(mnt_fs_get_fstype(mounted)),
            .read_only = has_option(own, "ro") || has_option(whole, "ro"),
            .nodev = has_option(own, "nodev"),
            .nosuid = has_option(own, "nosuid"),
            .noexec = has_option(own, "noexec"),
            .id = mnt_fs_get_id(mounted),
            .parent = mnt_fs_get_parent_id(mounted),
            .peer_group = peer_group_of(text_of(mnt_fs_get_optional_fields(mounted)))};
}

Result<base::FileDescriptor> open_to_read(const fs::path& device, const std::string& attempt) {
    base::FileDescriptor opened(::open(device.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened) return fail({attempt, device.string(), errno_text(errno), "look whether the volume is unlocked"});
    return opened;
}

std::string first_line(std::string_view text) {
    const auto start = text.find_first_not_of("\n\r\t ");
    if (start == std::string_view::npos) return {};
    text.remove_prefix(start);
    return std::string(text.substr(0, text.find('\n')));
}

std::string said(const base::Finished& finished) {
    std::string line = first_line(finished.errors);
    if (line.empty()) line = first_line(finished.output);
    return line.empty() ? "it gave no reason" : line;
}

class SystemApi final : public Api {
 public:
    Result<std::vector<MountEntry>> mounts() override {
        const MountTable table(mnt_new_table_from_file("/proc/self/mountinfo"));
        const MountIterator place(mnt_new_iter(MNT_ITER_FORWARD));
        if (!table || !place)
            return fail({"list", "what is mounted", "/proc/self/mountinfo: " + errno_text(errno), "mount /proc"});
        std::vector<MountEntry> entries;
        for (libmnt_fs* mounted = nullptr; mnt_table_next_fs(table.get(), place.get(), &mounted) == 0;)
            entries.push_back(entry_of(mounted));
        return entries;
    }

    Result<bool> in_hosts_namespace() override {
        std::array<struct stat, 2> namespaces{};
        std::size_t i = 0;
        for (const char* link : {"/proc/self/ns/mnt", "/proc/1/ns/mnt"})
            if (::stat(link, &namespaces[i++]) != 0) return fail({"look at", link, errno_text(errno), "run as root"});
        return namespaces[0].st_ino == namespaces[1].st_ino && namespaces[0].st_dev == namespaces[1].st_dev;
    }

    Result<std::optional<dev_t>> device_of(const fs::path& path) override {
        struct stat status{};
        if (::stat(path.c_str(), &status) != 0) {
            if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
            return fail({"look at", path.string(), errno_text(errno), "run as root"});
        }
        if (!S_ISBLK(status.st_mode))
            return fail({"look at", path.string(), "it is no block device", "remove it, if nobody needs it"});
        return status.st_rdev;
    }

    Result<bool> suspended(dev_t device) override {
        const fs::path file = fmt::format("/sys/dev/block/{}:{}/dm/suspended", major(device), minor(device));
        const base::FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        char is = '0';
        if (!opened && errno == ENOENT) return false;
        if (!opened || ::read(opened.get(), &is, 1) != 1)
            return fail({"look at", file.string(), errno_text(errno), "is /sys mounted?"});
        return is == '1';
    }

    Result<Content> content(const fs::path& device) override {
        auto opened = open_to_read(device, "look for a file system on");
        if (!opened) return fail(opened.error());
        const Probe probe(blkid_new_probe());
        if (!probe || blkid_probe_set_device(probe.get(), opened->get(), 0, 0) != 0 ||
            blkid_probe_enable_superblocks(probe.get(), 1) != 0 ||
            blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE) != 0 ||
            blkid_probe_enable_partitions(probe.get(), 1) != 0)
            return fail({"look for a file system on", device.string(), "libblkid: " + errno_text(errno),
                         "see the kernel's log about this device"});
        constexpr int nothing = 1;
        constexpr int several = -2;
        const int found = blkid_do_safeprobe(probe.get());
        if (found == nothing) return Content{};
        if (found == several) return Content{Content::What::other, "several signatures at once"};
        if (found != 0)
            return fail({"look for a file system on", device.string(),
                         "libblkid could not read it: " + errno_text(errno), "see the kernel's log about this device"});
        return judged(probe.get());
    }

    Result<std::string> start_of(const fs::path& device, std::size_t size) override {
        auto opened = open_to_read(device, "read the start of");
        if (!opened) return fail(opened.error());
        std::string bytes(size, '\0');
        const ssize_t got = ::pread(opened->get(), bytes.data(), size, 0);
        if (got < 0) return fail({"read the start of", device.string(), errno_text(errno), "see the kernel's log"});
        bytes.resize(static_cast<std::size_t>(got));
        return bytes;
    }

    Result<void> make(const std::string& type, const fs::path& device, const std::string& label, bool again) override {
        std::vector<std::string> program{"mkfs." + type, "-q", "-L", label};
        // Nothing is discarded: the provider of the storage need not learn what is empty.
        if (type == "ext4") program.insert(program.end(), {"-E", "nodiscard,root_owner=0:0"});
        if (type == "xfs") program.emplace_back("-K");
        if (again) program.emplace_back(type == "xfs" ? "-f" : "-F");
        program.push_back(device.string());
        auto ended = base::run_process(program);
        if (!ended) return fail(explained(ended.error(), type));
        if (ended->status != 0)
            return fail({"make a file system on", device.string(),
                         fmt::format("{} ended with {}: {}", program[0], ended->status, said(*ended)),
                         "see the kernel's log about this device"});
        return {};
    }

    Result<void> check(const std::string& type, const fs::path& device) override {
        if (type != "ext4") return {};
        auto ended = base::run_process({"e2fsck", "-p", device.string()});
        if (!ended) return fail(explained(ended.error(), type));
        // e2fsck(8): 0 no errors, 1 errors corrected; a 2 is about a mounted file system and cannot be good here.
        if (ended->status == 0 || ended->status == 1) return {};
        return fail({"check the file system on", device.string(),
                     fmt::format("e2fsck ended with {}: {}", ended->status, said(*ended)),
                     fmt::format("with a backup at hand, run `e2fsck {}`, and apply again", device.string())});
    }

    Result<void> mount(const fs::path& device, const fs::path& target, const std::string& type,
                       bool read_only) override {
        const MountContext context(mnt_new_context());
        const std::string options = std::string("nodev,nosuid,noexec,") + (read_only ? "ro" : "rw");
        if (!context || mnt_context_disable_helpers(context.get(), 1) != 0 ||
            mnt_context_set_optsmode(context.get(), MNT_OMODE_NOTAB) != 0 ||
            mnt_context_enable_rwonly_mount(context.get(), read_only ? 0 : 1) != 0 ||
            mnt_context_set_source(context.get(), device.c_str()) != 0 ||
            mnt_context_set_target(context.get(), target.c_str()) != 0 ||
            mnt_context_set_fstype(context.get(), type.c_str()) != 0 ||
            mnt_context_set_options(context.get(), options.c_str()) != 0)
            return fail({"mount", device.string(), "libmount could not be set up", "free some memory and try again"});
        const int result = mnt_context_mount(context.get());
        std::array<char, 256> why{};
        if (mnt_context_get_excode(context.get(), result, why.data(), why.size()) == MNT_EX_SUCCESS) return {};
        return fail({"mount", device.string(), fmt::format("on {}: {}", target.string(), why.data()),
                     "see the kernel's log about this file system"});
    }

    Result<Unmounted> unmount(const fs::path& target) override {
        if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) return Unmounted::done;
        if (errno == EBUSY) return Unmounted::busy;
        return fail({"unmount", target.string(), errno_text(errno), "run as root"});
    }

    Result<void> gather(const fs::path& directory) override {
        auto there = mounts();
        if (!there) return fail(there.error());
        const MountEntry* root = find(*there, directory);
        const auto call = [&](const char* source, unsigned long flags) -> Result<void> {
            if (::mount(source, directory.c_str(), nullptr, flags, nullptr) == 0) return {};
            return fail({"set up", directory.string(), "mount: " + errno_text(errno), "run as root"});
        };
        if (root == nullptr)
            if (auto bound = call(directory.c_str(), MS_BIND); !bound) return bound;
        if (root != nullptr && has_own_peers(*there, *root)) return {};
        // Private first: bound, it belongs to the peers of what it was bound from.
        if (auto apart = call(nullptr, MS_PRIVATE); !apart) return apart;
        return call(nullptr, MS_SHARED);
    }

    Result<std::vector<std::string>> holders(dev_t device) override {
        std::vector<std::string> all = processes_on(device);
        for (const auto& more : {namespaces_with(device), nfs_clients_on(device)})
            all.insert(all.end(), more.begin(), more.end());
        return all;
    }

    Result<std::vector<std::string>> other_namespaces(dev_t device) override { return namespaces_with(device); }

    Result<bool> shut_down(const fs::path& target) override {
        // Neither statfs(2) nor the options of the mount tell.
        const OpenDirectory root(::opendir(target.c_str()));
        if (root) errno = 0;
        if (root && (::readdir(root.get()) != nullptr || errno == 0)) return false;
        if (errno == EIO) return true;
        return fail({"look into", target.string(), errno_text(errno), "see the kernel's log about this file system"});
    }

    Result<Space> space(const fs::path& target) override {
        struct statvfs status{};
        if (::statvfs(target.c_str(), &status) != 0)
            return fail({"measure", target.string(), errno_text(errno), "see the kernel's log"});
        return Space{.size = status.f_blocks * status.f_frsize,
                     .free = status.f_bavail * status.f_frsize,
                     .inodes = status.f_files,
                     .free_inodes = status.f_favail};
    }

 private:
    static Result<Content> judged(blkid_probe probe) {
        const char* type = nullptr;
        const char* usage = nullptr;
        const bool typed = blkid_probe_lookup_value(probe, "TYPE", &type, nullptr) == 0;
        const bool used = blkid_probe_lookup_value(probe, "USAGE", &usage, nullptr) == 0;
        if (!typed) return Content{Content::What::other, "a partition table"};
        if (used && std::string_view(usage) == "filesystem") return Content{Content::What::filesystem, type};
        return Content{Content::What::other, type};
    }

    static Error explained(Error error, const std::string& type) {
        error.advice = fmt::format("install {}", type == "xfs" ? "xfsprogs" : "e2fsprogs");
        return error;
    }

    static const MountEntry* find(const std::vector<MountEntry>& entries, const fs::path& target) {
        const MountEntry* last = nullptr;
        for (const MountEntry& entry : entries)
            if (entry.target == target) last = &entry;
        return last;
    }

    static bool has_own_peers(const std::vector<MountEntry>& entries, const MountEntry& entry) {
        if (!entry.peer_group) return false;
        for (const MountEntry& other : entries)
            if (other.id == entry.parent) return other.peer_group != entry.peer_group;
        return true;
    }
};

}  // namespace

std::unique_ptr<Api> make_system_api() { return std::make_unique<SystemApi>(); }

}  // namespace safe::filesystem
