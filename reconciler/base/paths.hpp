// Paths as they are written: nothing is looked at, and no link followed.
#pragma once

#include <algorithm>
#include <filesystem>

namespace safe::base {

/// Part by part, so that /srv/safe-2 does not lie in /srv/safe. A directory lies in itself.
[[nodiscard]] inline bool lies_in(const std::filesystem::path& path, const std::filesystem::path& directory) {
    return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

}  // namespace safe::base
