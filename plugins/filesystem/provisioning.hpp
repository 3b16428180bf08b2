// From an opened device to a file system that may be mounted: recognised, checked, and made where that is allowed. It
// is allowed while the marker of the volume exists, which whoever opened it has put there because its header says that
// it is new, and which goes at the first successful mount. Even then nothing is made over a file system that anybody
// could have used. Killed anywhere and called again, it ends the same way. Thread-safe.
#pragma once

#include <filesystem>
#include <string>

#include "plugins/filesystem/filesystem_api.hpp"

namespace safe::filesystem {

struct Volume {
    std::string name;
    std::filesystem::path device;
    std::string type;  // "ext4" or "xfs", as the spec wants it
    std::string label;
    bool read_only = false;
    bool is_new = false;  // its marker exists
};

/// Whether the first KiB of a file system says that it was never mounted and so holds nothing of anybody: an ext4 whose
/// superblock has neither mount time nor mount count (they are written by the first mount that can write), an xfs still
/// "in progress". What cannot be told counts as used. Pure.
[[nodiscard]] bool never_used(const std::string& type, const std::string& start);
inline constexpr std::size_t start_size = 2048;

/// Afterwards the device carries a sound file system of the wanted type. Refused, and nothing touched, when it carries
/// anything else, or nothing and is not new.
[[nodiscard]] base::Result<void> make_ready(Api& api, const Volume& volume);

}  // namespace safe::filesystem
