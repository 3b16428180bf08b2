// Whole files, read and replaced.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "reconciler/base/result.hpp"

namespace safe::base {

/// The content of a regular file of at most `limit` bytes.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

/// Replaces the file whole or leaves it as it was: "<path>.new" beside it, fsync, rename, fsync of the directory. What
/// a kill leaves of it is overwritten by the next call. For one writer at a time.
[[nodiscard]] Result<void> replace_file(const std::filesystem::path& path, std::string_view content, mode_t mode);

/// Makes a file that was not there, whole or not at all: refused when anything bears that name. Durable when it
/// returns. What a kill leaves is "<path>.<six letters>", never half a file under the name itself.
[[nodiscard]] Result<void> create_file(const std::filesystem::path& path, std::string_view content, mode_t mode);

}  // namespace safe::base
