#include "plugins/filesystem/provisioning.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace safe::filesystem {
namespace {

using base::Error;
using base::fail;
using base::Result;

// Offsets in bytes from the start of the device: struct ext4_super_block of fs/ext4/ext4.h, which lies at 1024, and
// struct xfs_dsb of fs/xfs/libxfs/xfs_format.h, which lies at 0.
constexpr std::size_t ext4_super_block = 1024;
constexpr std::size_t ext4_mount_time = ext4_super_block + 0x2C;
constexpr std::size_t ext4_mount_count = ext4_super_block + 0x34;
constexpr std::size_t ext4_magic = ext4_super_block + 0x38;
constexpr std::size_t ext4_mount_time_high = ext4_super_block + 0x275;
constexpr std::size_t xfs_in_progress = 126;

bool zero(std::string_view bytes) {
    return std::ranges::all_of(bytes, [](char byte) { return byte == '\0'; });
}

Error refused(const Volume& volume, std::string cause, std::string advice) {
    return {"mount", volume.name, std::move(cause), std::move(advice), Error::Kind::refused};
}

Result<void> make(Api& api, const Volume& volume, bool again) {
    if (auto made = api.make(volume.type, volume.device, volume.label, again); !made) return made;
    auto content = api.content(volume.device);
    if (!content) return fail(content.error());
    if (content->what == Content::What::filesystem && content->name == volume.type) return {};
    return fail({"make a file system on", volume.device.string(), "there is none after it was made",
                 "see the kernel's log about this device"});
}

/// What is left of a file system whose making was cut short may be made again, and nothing else may.
Result<void> make_again(Api& api, const Volume& volume, const Error& unsound) {
    if (!volume.is_new) return fail(unsound);
    auto start = api.start_of(volume.device, start_size);
    if (!start) return fail(start.error());
    if (!never_used(volume.type, *start)) return fail(unsound);
    return make(api, volume, true);
}

Result<void> check(Api& api, const Volume& volume) {
    if (volume.type == "xfs") {
        auto start = api.start_of(volume.device, start_size);
        if (!start) return fail(start.error());
        if (!never_used(volume.type, *start)) return {};
        return make_again(api, volume,
                          refused(volume, fmt::format("the xfs on {} was never finished", volume.device.string()),
                                  "if nothing of it is needed, destroy the volume and provision it anew"));
    }
    auto sound = api.check(volume.type, volume.device);
    if (sound) return {};
    return make_again(api, volume, sound.error());
}

}  // namespace

bool never_used(const std::string& type, const std::string& start) {
    if (start.size() < start_size) return false;
    const std::string_view bytes(start);
    if (type == "ext4")
        return bytes.substr(ext4_magic, 2) == "\x53\xEF" && zero(bytes.substr(ext4_mount_time, 4)) &&
               zero(bytes.substr(ext4_mount_time_high, 1)) && zero(bytes.substr(ext4_mount_count, 2));
    if (type == "xfs") return bytes.starts_with("XFSB") && bytes[xfs_in_progress] == 1;
    return false;
}

Result<void> make_ready(Api& api, const Volume& volume) {
    auto content = api.content(volume.device);
    if (!content) return fail(content.error());
    switch (content->what) {
        case Content::What::other:
            return fail(refused(volume, fmt::format("{} carries {}", volume.device.string(), content->name),
                                "this is no volume of a safe; look what it is"));
        case Content::What::nothing:
            if (volume.is_new && !volume.read_only) return make(api, volume, false);
            return fail(refused(volume, fmt::format("{} carries no file system", volume.device.string()),
                                "only a volume that this safe has just formatted gets one; if nothing of this one is "
                                "needed, provision it anew"));
        case Content::What::filesystem:
            break;
    }
    if (content->name != volume.type)
        return fail(refused(
            volume,
            fmt::format("{} carries {}, and the file says {}", volume.device.string(), content->name, volume.type),
            fmt::format("write filesystem: {}", content->name)));
    // Nothing can be repaired there; the kernel refuses what it cannot read.
    if (volume.read_only) return {};
    return check(api, volume);
}

}  // namespace safe::filesystem
