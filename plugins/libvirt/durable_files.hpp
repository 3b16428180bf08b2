// Small files that are either as they were or as they should be, whenever the machine loses power: written beside their
// place, flushed, renamed over it, and the directory flushed. Thread-safe for different paths.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "reconciler/base/result.hpp"

namespace safe::libvirt {

[[nodiscard]] base::Result<void> replace_file(const std::filesystem::path& path, std::string_view content);
[[nodiscard]] base::Result<void> replace_link(const std::filesystem::path& path, const std::filesystem::path& target);
/// Renames within one directory, durably.
[[nodiscard]] base::Result<void> move_into_place(const std::filesystem::path& from, const std::filesystem::path& to);
/// Flushes what was written to a file.
[[nodiscard]] base::Result<void> flush(int descriptor, const std::filesystem::path& path);

/// A regular file; nullopt when there is none. One byte more than `most` is read, so that a longer file is told.
[[nodiscard]] base::Result<std::optional<std::string>> read_small_file(const std::filesystem::path& path,
                                                                       std::size_t most = std::size_t{64} << 10);
/// nullopt when there is no such link.
[[nodiscard]] std::optional<std::filesystem::path> read_link(const std::filesystem::path& path);

/// With advice that fits: no space, no permission, read-only.
[[nodiscard]] base::Error file_error(std::string attempt, const std::filesystem::path& path, int error_number);

}  // namespace safe::libvirt
