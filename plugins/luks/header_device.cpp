#include "plugins/luks/header_device.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace safe::luks {
namespace {

using base::Result;

constexpr std::uint64_t claimed_size = 512;  // a sector is written whole or not at all

std::unexpected<base::Error> device_error(std::string attempt, const std::filesystem::path& path, int error_number) {
    return base::fail({.attempt = std::move(attempt),
                       .object = path.string(),
                       .cause = base::errno_text(error_number),
                       .advice = error_number == EIO ? "is the storage reachable? Look at its side" : ""});
}

bool zeros(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

}  // namespace

Result<bool> HeaderDevice::exists(const std::filesystem::path& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return device_error("look at", path, errno);
}

Result<HeaderDevice> HeaderDevice::open(const std::filesystem::path& path, Access access) {
    const int mode = access == Access::write ? O_RDWR : O_RDONLY;
    HeaderDevice device(base::FileDescriptor(::open(path.c_str(), mode | O_CLOEXEC | O_NONBLOCK)), path);
    if (!device.file_) return device_error("open", path, errno);
    struct stat status{};
    if (::fstat(device.file_.get(), &status) != 0) return device_error("look at", path, errno);
    if (S_ISREG(status.st_mode)) {
        device.size_ = static_cast<std::uint64_t>(status.st_size);
        return device;
    }
    if (!S_ISBLK(status.st_mode))
        return base::fail({"open", path.string(), "it is neither a file nor a block device", "name the right one"});
    unsigned physical = 0;
    if (::ioctl(device.file_.get(), BLKGETSIZE64, &device.size_) != 0 ||
        ::ioctl(device.file_.get(), BLKPBSZGET, &physical) != 0)
        return device_error("ask for the size of", path, errno);
    device.ask_storage();
    device.sector_size_ = physical >= 4096 ? 4096 : 512;
    return device;
}

void HeaderDevice::ask_storage() const {
    // Stale pages must not hide what the provider has changed meanwhile; nobody minds where that is not possible.
    static_cast<void>(::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED));
}

Result<std::string> HeaderDevice::read(std::uint64_t offset, std::uint64_t size) const {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::pread(file_.get(), bytes.data() + have, size - have, static_cast<off_t>(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return device_error("read", path_, errno);
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

Result<Copies> HeaderDevice::read_copies() const {
    return luks::read_copies([this](std::uint64_t offset, std::uint64_t size) { return read(offset, size); });
}

Result<bool> HeaderDevice::blank() const {
    if (size_ == 0) return false;
    const std::uint64_t last = size_ > mebibyte ? size_ - mebibyte : 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> places{{0, mebibyte}, {last, mebibyte}};
    for (const std::uint64_t offset : copy_sizes) places.emplace_back(offset, binary_size);
    for (const auto& [offset, size] : places) {
        const Result<std::string> bytes = read(offset, size);
        if (!bytes) return base::fail(bytes.error());
        if (!zeros(*bytes)) return false;
    }
    return true;
}

Result<void> HeaderDevice::put(std::string_view bytes, std::uint64_t offset) const {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return device_error("write the header of", path_, errno);
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

Result<void> HeaderDevice::flush() const {
    if (::fsync(file_.get()) != 0) return device_error("write the header of", path_, errno);
    return {};
}

Result<void> HeaderDevice::claim(const std::string& image) const {
    if (Result<void> written = put(std::string_view(image).substr(0, claimed_size), 0); !written) return written;
    return flush();
}

Result<void> HeaderDevice::put_areas(std::string_view image, const std::vector<Area>& areas, std::string& there) const {
    // What is the same is left alone: an area that holds a key in use is never written for another's sake.
    constexpr std::uint64_t block = 4096;
    bool any = false;
    for (const auto& [from, to] : areas)
        for (std::uint64_t at = from; at < to; at += block) {
            const std::string_view fresh = image.substr(at, std::min(block, to - at));
            if (std::string_view(there).substr(at, fresh.size()) == fresh) continue;
            if (Result<void> written = put(fresh, at); !written) return written;
            there.replace(at, fresh.size(), fresh);
            any = true;
        }
    return any ? flush() : Result<void>();
}

Result<void> HeaderDevice::write(const std::string& image, const Header& header) const {
    const std::string_view all = image;
    Result<std::string> there = read(0, image.size());
    if (!there) return base::fail(there.error());
    if (there->size() < image.size())
        return base::fail({"write the header of", path_.string(), "the device ends inside it", ""});
    if (Result<void> written = put_areas(all, areas_of(header), *there); !written) return written;
    for (const std::uint64_t offset : {std::uint64_t{0}, header.copy_size}) {
        if (Result<void> written = put(all.substr(offset, header.copy_size), offset); !written) return written;
        if (Result<void> flushed = flush(); !flushed) return flushed;
    }
    // Last of all, where a keyslot was that is gone: until now the header before may have been the one that counts.
    if (Result<void> wiped = put_areas(all, {{2 * header.copy_size, image.size()}}, *there); !wiped) return wiped;
    ask_storage();
    return {};
}

}  // namespace safe::luks
