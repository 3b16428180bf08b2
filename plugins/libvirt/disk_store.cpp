#include "plugins/libvirt/disk_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "plugins/libvirt/durable_files.hpp"
#include "plugins/libvirt/qcow2_header.hpp"
#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/process.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;
using nlohmann::json;

Result<void> run(const std::vector<std::string>& arguments, const std::string& attempt, const fs::path& object) {
    const Result<base::Finished> finished = base::run_process(arguments);
    if (!finished) return base::fail(finished.error());
    if (finished->status == 0) return {};
    std::string cause = finished->errors.substr(0, finished->errors.find('\n'));
    std::string advice;
    if (finished->errors.find("No space left") != std::string::npos) advice = "free some space there and apply again";
    if (cause.empty()) cause = fmt::format("{} ended with status {}", arguments.front(), finished->status);
    return base::fail({.attempt = attempt, .object = object.string(), .cause = std::move(cause), .advice = advice});
}

/// The size of the disk in an image, once it is known to be what its name says and to name no other file.
Result<std::uint64_t> trusted_size(const fs::path& image, const model::ResourceId& id, std::string_view format) {
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail({.attempt = "use as a base for disks",
                           .object = to_text(id),
                           .cause = std::move(cause),
                           .advice = std::move(advice),
                           .kind = Error::Kind::refused});
    };
    const Result<std::optional<Qcow2Header>> read = read_qcow2_header(image);
    if (!read) return base::fail(read.error());
    const std::optional<Qcow2Header>& header = *read;
    if (format == "raw") {
        if (header) return refuse("it is a qcow2 image under another name", "rename it to end in .qcow2");
        std::error_code error;
        const std::uintmax_t bytes = fs::file_size(image, error);
        if (error) return base::fail(file_error("look at", image, error.value()));
        return (bytes + 511) / 512 * 512;
    }
    if (!header) return refuse("it is no qcow2 image", "get the right file, or name it .img if it is a raw one");
    if (!header->backing_file.empty())
        return refuse(fmt::format("it rests on another file, {}", header->backing_file),
                      "flatten it: qemu-img convert -O qcow2 OLD NEW");
    if (header->external_data)
        return refuse("it keeps its data in another file", "flatten it: qemu-img convert -O qcow2 OLD NEW");
    if (header->encrypted) return refuse("it is encrypted", "decrypt it: qemu-img convert -O qcow2 OLD NEW");
    return header->size;
}

}  // namespace

Result<std::vector<std::string>> DiskStore::list(const fs::path& directory) const {
    std::vector<std::string> vms;
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        const fs::path& path = it->path();
        if (path.extension() == ".qcow2" && !path.stem().string().starts_with('.')) vms.push_back(path.stem().string());
    }
    if (error && error != std::errc::no_such_file_or_directory)
        return base::fail(file_error("list the disks in", directory, error.value()));
    std::ranges::sort(vms);
    return vms;
}

Result<DiskStore::Seen> DiskStore::look_in(const fs::path& directory, const std::string& vm) const {
    const fs::path path = directory / (vm + ".qcow2");
    const fs::path base_link = directory / (vm + ".base");
    const fs::path record_file = directory / (vm + ".json");
    const Result<std::optional<std::string>> read = read_small_file(record_file);
    if (!read) return base::fail(read.error());
    const std::optional<std::string>& text = *read;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return None{};
        return base::fail(file_error("look at", path, errno));
    }
    if (!text) return NotOurs{path.string() + " has no record of ours beside it"};
    if (!S_ISREG(status.st_mode)) return NotOurs{path.string() + " is no regular file"};
    const Result<std::optional<Qcow2Header>> start = read_qcow2_header(path);
    if (!start) return base::fail(start.error());
    const std::optional<Qcow2Header>& header = *start;
    // A relative name, so that the safe's directory may be moved.
    if (!header || header->backing_file != base_link.filename().string() || header->external_data)
        return NotOurs{path.string() + " is no overlay that we made"};
    DiskSeen seen{.image = "", .base_sha256 = "", .size = header->size};
    try {
        const json record = json::parse(*text);
        seen.image = record.at("image");
        seen.base_sha256 = record.at("sha256");
        seen.pinned = record.at("pinned");
        seen.sized = record.at("sized");
        seen.base_size = record.at("base-size");
        seen.grows_to = record.value("grows-to", std::uint64_t{0});
    } catch (const json::exception& error) {
        return base::fail({.attempt = "read",
                           .object = record_file.string(),
                           .cause = error.what(),
                           .advice = "put it back from a backup: the disk is not touched without it"});
    }
    const std::optional<fs::path> base = read_link(base_link);
    if (!base || base->filename() != seen.base_sha256)
        return NotOurs{base_link.string() + " does not lead to the image that the disk was made on"};
    return seen;
}

Result<void> DiskStore::record(const std::string& vm, const DiskSeen& disk) const {
    json record{{"image", disk.image},
                {"sha256", disk.base_sha256},
                {"pinned", disk.pinned},
                {"sized", disk.sized},
                {"base-size", disk.base_size}};
    if (disk.grows_to > 0) record["grows-to"] = disk.grows_to;
    return replace_file(layout_.disk_record(vm), record.dump(2) + "\n");
}

Result<void> DiskStore::create(const std::string& vm, const DiskWish& wish) const {
    const fs::path directory = layout_.disks_of(vm);
    const fs::path root = layout_.on_volume(vm) ? layout_.keep().disks_mount : layout_.state_dir();
    if (Result<void> made = make_passable(directory, root); !made) return made;
    const std::optional<fs::path> sha256 = read_link(layout_.current(wish.image));
    if (!sha256)
        return base::fail({.attempt = "make the disk of",
                           .object = vm,
                           .cause = to_text(wish.image) + " is not imported",
                           .advice = "apply again: it is imported first"});
    if (!wish.sha256.empty() && *sha256 != wish.sha256)
        return base::fail({.attempt = "make the disk of",
                           .object = vm,
                           .cause = to_text(wish.image) + " is not the one whose digest the spec gives",
                           .advice = "apply again: the right one is imported first"});
    const fs::path image = layout_.image(wish.image) / *sha256;
    const Result<std::uint64_t> base_size = trusted_size(image, wish.image, wish.base_format);
    if (!base_size) return base::fail(base_size.error());
    if (wish.size && *wish.size < *base_size)
        return base::fail({.attempt = "make the disk of",
                           .object = vm,
                           .cause = fmt::format("it is to have {} bytes, but its image has {}", *wish.size, *base_size),
                           .advice = "give it a larger disk in the spec, or leave disk out",
                           .kind = Error::Kind::refused});
    // Relative, so that the safe's directory may be moved; a volume is not below it.
    const fs::path relative = fs::path("..") / "images" / encode_path(wish.image.path) / *sha256;
    const fs::path target = layout_.on_volume(vm) ? image : relative;
    if (Result<void> linked = replace_link(layout_.base(vm), target); !linked) return linked;
    const DiskSeen asked{.image = to_text(wish.image),
                         .base_sha256 = sha256->string(),
                         .pinned = !wish.sha256.empty(),
                         .sized = wish.size.has_value(),
                         .base_size = *base_size};
    if (Result<void> written = record(vm, asked); !written) return written;

    // A name of this process's own: the qemu-img of a run that was killed may still be at work on its file.
    const std::string unfinished = "." + vm + ".incoming.";
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error))
        if (entry.path().filename().string().starts_with(unfinished)) fs::remove(entry.path(), error);
    const fs::path incoming = directory / (unfinished + std::to_string(::getpid()));
    const Result<void> made =
        run({"qemu-img", "create", "-q", "-f", "qcow2", "-F", wish.base_format, "-b",
             layout_.base(vm).filename().string(), incoming.string(), std::to_string(wish.size.value_or(*base_size))},
            "make the disk", layout_.disk(vm));
    const base::FileDescriptor file(::open(incoming.c_str(), O_RDWR | O_CLOEXEC));
    if (!made || !file) {
        ::unlink(incoming.c_str());
        return made ? base::fail(file_error("make the disk", layout_.disk(vm), errno)) : made;
    }
    if (::fchmod(file.get(), 0600) != 0) return base::fail(file_error("protect", incoming, errno));
    if (Result<void> flushed = flush(file.get(), incoming); !flushed) return flushed;
    return move_into_place(incoming, layout_.disk(vm));
}

Result<void> DiskStore::grow(const std::string& vm, std::uint64_t size) const {
    const fs::path path = layout_.disk(vm);
    return run({"qemu-img", "resize", "-q", "-f", "qcow2", path.string(), std::to_string(size)}, "make larger the disk",
               path);
}

}  // namespace safe::libvirt
