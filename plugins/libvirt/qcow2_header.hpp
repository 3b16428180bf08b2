// The few fields of a qcow2 header that decide whether an image may be trusted as a base: it may come from a stranger,
// and one that names another file would let its guest read that file. Read here rather than by qemu-img, which opens
// what the header names. QEMU's docs/interop/qcow2.txt. Pure, but for read_qcow2_header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "reconciler/base/result.hpp"

namespace safe::libvirt {

struct Qcow2Header {
    std::uint64_t size = 0;      // of the disk that the guest sees, in bytes
    std::string backing_file;    // empty for none
    bool external_data = false;  // its content lies in another file
    bool encrypted = false;
};

/// nullopt for what is no qcow2 image, or a broken one. The first 64 KiB are enough.
[[nodiscard]] std::optional<Qcow2Header> parse_qcow2_header(std::span<const std::byte> start);

/// An Error when the file cannot be read; nullopt as above.
[[nodiscard]] base::Result<std::optional<Qcow2Header>> read_qcow2_header(const std::filesystem::path& path);

}  // namespace safe::libvirt
