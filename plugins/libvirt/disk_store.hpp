// The disks of VMs: one qcow2 overlay each, on an image of the safe's store. The record beside a disk says what was
// asked for; it is written before the disk is, so a disk without one is not ours. Layout as in layout.hpp. Thread-safe
// for different VMs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plugins/libvirt/layout.hpp"
#include "reconciler/base/result.hpp"

namespace safe::libvirt {

/// What is asked of a disk.
struct DiskWish {
    model::ResourceId image;
    std::string base_format;            // qcow2 or raw
    std::string sha256;                 // of the image, when the spec pins it; else empty
    std::optional<std::uint64_t> size;  // in bytes; the image's own without it
};

struct DiskSeen {
    std::string image;        // "image/images/desktop.qcow2"
    std::string base_sha256;  // what it was made on
    bool pinned = false;
    bool sized = false;
    std::uint64_t size = 0;       // what the guest sees, in bytes
    std::uint64_t base_size = 0;  // what the image has; 0 when it cannot be told any more
    std::uint64_t grows_to = 0;   // what was asked for while its machine's memory was saved, which needs it as it is
};

class DiskStore {
 public:
    explicit DiskStore(Layout layout) : layout_(std::move(layout)) {}

    /// The VMs that have a disk of ours in this directory, which need not be there.
    [[nodiscard]] base::Result<std::vector<std::string>> list(const std::filesystem::path& directory) const;

    struct None {};
    struct NotOurs {
        std::string why;
    };
    using Seen = std::variant<None, NotOurs, DiskSeen>;
    [[nodiscard]] base::Result<Seen> look(const std::string& vm) const { return look_in(layout_.disks_of(vm), vm); }
    /// The same of one that has left the file, which may lie elsewhere.
    [[nodiscard]] base::Result<Seen> look_in(const std::filesystem::path& directory, const std::string& vm) const;

    /// Makes the overlay on what is the image's current copy, after checking that this names no other file. A disk is
    /// never replaced. Cut short, it begins anew.
    [[nodiscard]] base::Result<void> create(const std::string& vm, const DiskWish& wish) const;

    /// Makes the disk of a VM that is off larger, in bytes.
    [[nodiscard]] base::Result<void> grow(const std::string& vm, std::uint64_t size) const;

    /// Writes down what is asked for now.
    [[nodiscard]] base::Result<void> record(const std::string& vm, const DiskSeen& disk) const;

 private:
    Layout layout_;
};

}  // namespace safe::libvirt
