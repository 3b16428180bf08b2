// The file or block device that holds a volume: reading its header, proving it blank, and writing a header so that it
// may end anywhere. No libcryptsetup. One writer at a time; opens the device anew at every call and keeps nothing.
#pragma once

#include <filesystem>
#include <string>

#include "plugins/luks/header_image.hpp"
#include "plugins/luks/keyslot_areas.hpp"
#include "reconciler/base/file_descriptor.hpp"

namespace safe::luks {

class HeaderDevice {
 public:
    enum class Access { read, write };
    /// A regular file or a block device; links are followed. `missing` tells apart that there is nothing of that name.
    [[nodiscard]] static base::Result<HeaderDevice> open(const std::filesystem::path& path, Access access);
    /// Whether something bears that name at all; an Error when that cannot be told.
    [[nodiscard]] static base::Result<bool> exists(const std::filesystem::path& path);

    [[nodiscard]] std::uint64_t size() const { return size_; }                // bytes
    [[nodiscard]] std::uint64_t sector_size() const { return sector_size_; }  // 512 or 4096, for encryption

    /// Fewer bytes only where the device ends.
    [[nodiscard]] base::Result<std::string> read(std::uint64_t offset, std::uint64_t size) const;
    [[nodiscard]] base::Result<Copies> read_copies() const;

    /// Proven blank: the first and the last MiB are zeros, and so is every place where a second header may begin. An
    /// Error only when reading failed.
    [[nodiscard]] base::Result<bool> blank() const;

    /// Writes both copies and the keyslot areas (`image`, as render_both of `header` and the areas after it): first the
    /// areas of its keyslots, then the copies, and only then what lies where it has no keyslot. So wherever it ends one
    /// good copy with its areas is there, as long as no keyslot of the header before is overwritten by another
    /// (spares). Durable when it returns; what is read after it comes from the storage, not from memory.
    [[nodiscard]] base::Result<void> write(const std::string& image, const Header& header) const;
    /// The first step onto a blank device: its first sector says whose it is, in one write.
    [[nodiscard]] base::Result<void> claim(const std::string& image) const;

 private:
    HeaderDevice(base::FileDescriptor file, std::filesystem::path path)
        : file_(std::move(file)), path_(std::move(path)) {}
    [[nodiscard]] base::Result<void> put(std::string_view bytes, std::uint64_t offset) const;
    /// What differs from `there`, which is what the device holds and is brought up to date; flushed when anything did.
    [[nodiscard]] base::Result<void> put_areas(std::string_view image, const std::vector<Area>& areas,
                                               std::string& there) const;
    [[nodiscard]] base::Result<void> flush() const;
    /// The next read does.
    void ask_storage() const;

    base::FileDescriptor file_;
    std::filesystem::path path_;
    std::uint64_t size_ = 0;
    std::uint64_t sector_size_ = 512;
};

}  // namespace safe::luks
