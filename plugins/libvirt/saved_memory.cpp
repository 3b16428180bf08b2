#include "plugins/libvirt/saved_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "plugins/libvirt/durable_files.hpp"
#include "plugins/libvirt/mounted.hpp"
#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/model/attributes.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;
using nlohmann::json;

constexpr const char* incoming_ending = ".save.new";
constexpr const char* saved_ending = ".save";
constexpr const char* record_ending = ".save.json";
constexpr const char* used_ending = ".save.used";
constexpr std::int64_t nanoseconds = 1'000'000'000;

Result<bool> is_file(const fs::path& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT) return false;
    return base::fail(file_error("look at", path, errno));
}

std::int64_t written(const struct stat& status) {
    return std::int64_t{status.st_mtim.tv_sec} * nanoseconds + status.st_mtim.tv_nsec;
}

/// What tells whether anybody has written to the disk since: null for a VM without one.
Result<json> stamp_of(const fs::path& disk) {
    if (disk.empty()) return json();
    struct stat status{};
    if (::lstat(disk.c_str(), &status) != 0) return base::fail(file_error("look at", disk, errno));
    return json{{"written", written(status)}, {"bytes", std::int64_t{status.st_size}}};
}

Error older_than_disk(const fs::path& memory, const fs::path& disk, const std::string& vm) {
    return {.attempt = "use the saved memory",
            .object = memory.string(),
            .cause = disk.string() + " was written to after the memory was saved; together they would destroy the disk",
            .advice = "safectl discard-state " + vm + " gives the memory up, and the machine boots from its disk",
            .kind = Error::Kind::refused};
}

}  // namespace

Result<bool> SavedMemory::is_there() const {
    if (!possible()) return false;
    return is_mounted(layout_.keep().vault_mount);
}

Result<SavedFiles> SavedMemory::look(const std::string& vm) const {
    SavedFiles files;
    for (const auto& [ending, there] :
         {std::pair{incoming_ending, &files.incoming}, {saved_ending, &files.saved}, {used_ending, &files.used}}) {
        const Result<bool> is = is_file(file(vm, ending));
        if (!is) return base::fail(is.error());
        *there = *is;
    }
    return files;
}

Result<void> SavedMemory::make_ready() const {
    const Result<bool> there = is_there();
    if (!there) return base::fail(there.error());
    const fs::path& directory = layout_.keep().memory;
    if (!*there)
        return base::fail({.attempt = "use the saved memory in",
                           .object = directory.string(),
                           .cause = possible() ? "the vault is not mounted there" : "the spec has no vault",
                           .advice = "apply again with the safe open: the vault is mounted first",
                           .kind = Error::Kind::refused});
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        return base::fail(file_error("make the directory", directory, errno));
    struct stat status{};
    if (::lstat(directory.c_str(), &status) != 0) return base::fail(file_error("look at", directory, errno));
    if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid())
        return base::fail({.attempt = "save memory in",
                           .object = directory.string(),
                           .cause = "it is no directory of root's",
                           .advice = "move away what lies there",
                           .kind = Error::Kind::refused});
    if (::chmod(directory.c_str(), 0700) != 0) return base::fail(file_error("protect", directory, errno));
    return {};
}

Result<void> SavedMemory::clear_for(const std::string& vm) const {
    // Not what is being written: libvirt may still be at work for a run that was killed, and overwrites it itself.
    return remove(vm, {saved_ending, record_ending, used_ending});
}

Result<void> SavedMemory::keep(const std::string& vm, const fs::path& disk) const {
    const fs::path memory = incoming(vm);
    const base::FileDescriptor content(::open(memory.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (!content) return base::fail(file_error("open the saved memory", memory, errno));
    if (::fchmod(content.get(), 0600) != 0) return base::fail(file_error("protect", memory, errno));
    if (Result<void> flushed = flush(content.get(), memory); !flushed) return flushed;
    const Result<json> stamp = stamp_of(disk);
    if (!stamp) return base::fail(stamp.error());
    struct stat status{};
    if (::fstat(content.get(), &status) != 0) return base::fail(file_error("look at", memory, errno));
    if (!stamp->is_null() && stamp->at("written").get<std::int64_t>() > written(status))
        return base::fail(older_than_disk(memory, disk, vm));
    if (Result<void> noted = replace_file(file(vm, record_ending), json{{"disk", *stamp}}.dump() + "\n"); !noted)
        return noted;
    return move_into_place(memory, saved(vm));
}

Result<void> SavedMemory::check_disk(const std::string& vm, const fs::path& disk) const {
    const Result<std::optional<std::string>> text = read_small_file(file(vm, record_ending));
    if (!text) return base::fail(text.error());
    const Result<json> now = stamp_of(disk);
    if (!now) return base::fail(now.error());
    const json record = json::parse(text->value_or(""), nullptr, false);
    if (!record.is_object() || !record.contains("disk"))
        return base::fail({.attempt = "use the saved memory",
                           .object = saved(vm).string(),
                           .cause = "what tells how its disk was then, " + file(vm, record_ending).string() +
                                    ", is missing or damaged",
                           .advice = "safectl discard-state " + vm + " gives the memory up",
                           .kind = Error::Kind::refused});
    if (record["disk"] == *now) return {};
    return base::fail(older_than_disk(saved(vm), disk, vm));
}

Result<void> SavedMemory::spend(const std::string& vm) const {
    const Result<bool> there = is_file(saved(vm));
    if (!there) return base::fail(there.error());
    if (!*there) return {};
    return move_into_place(saved(vm), file(vm, used_ending));
}

Result<void> SavedMemory::forget(const std::string& vm) const {
    return remove(vm, {saved_ending, record_ending, used_ending, incoming_ending});
}

Result<void> SavedMemory::forget_spent(const std::string& vm) const {
    if (Result<void> removed = remove(vm, {saved_ending, incoming_ending}); !removed) return removed;
    const Result<bool> unlinked = unlink_all(vm, {record_ending, used_ending});
    return unlinked ? Result<void>{} : base::fail(unlinked.error());
}

Result<void> SavedMemory::remove(const std::string& vm, std::initializer_list<const char*> extensions) const {
    const Result<bool> unlinked = unlink_all(vm, extensions);
    if (!unlinked) return base::fail(unlinked.error());
    return *unlinked ? flush_directory() : Result<void>{};
}

Result<bool> SavedMemory::unlink_all(const std::string& vm, std::initializer_list<const char*> extensions) const {
    bool any = false;
    for (const char* extension : extensions) {
        const fs::path path = file(vm, extension);
        if (::unlink(path.c_str()) == 0)
            any = true;
        else if (errno != ENOENT)
            return base::fail(file_error("remove", path, errno));
    }
    return any;
}

Result<void> SavedMemory::flush_directory() const {
    const fs::path& directory = layout_.keep().memory;
    const base::FileDescriptor handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!handle) return base::fail(file_error("open", directory, errno));
    return flush(handle.get(), directory);
}

Result<void> SavedMemory::check_space() const {
    const fs::path& directory = layout_.keep().memory;
    struct statvfs room{};
    if (::statvfs(directory.c_str(), &room) != 0) return base::fail(file_error("look at", directory, errno));
    std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
        struct stat status{};
        if (::lstat(entry.path().c_str(), &status) == 0) free += std::uint64_t(status.st_blocks) * 512;
    }
    if (error) return base::fail(file_error("list", directory, error.value()));
    const std::uint64_t needed = layout_.keep().memory_of_workspaces;
    if (free >= needed) return {};
    return base::fail({.attempt = "open with enough space in",
                       .object = "the vault, " + layout_.keep().vault,
                       .cause = fmt::format("saving the memory of all workspace VMs may take {}, and {} are free",
                                            to_text(model::Bytes{needed}), to_text(model::Bytes{free})),
                       .advice = "make the vault larger, remove what is not needed in it, or give the VMs less memory",
                       .kind = Error::Kind::refused});
}

}  // namespace safe::libvirt
