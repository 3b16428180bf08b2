// One apply a safe at a time: an advisory lock (flock(2)) on a file in the safe's state directory. Held for the life of
// the object, and given back by the kernel when the process dies, however it dies.
#pragma once

#include <filesystem>

#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/result.hpp"

namespace safe::applying {

class LockFile {
 public:
    /// Does not wait: an Error of kind refused that names the process which holds it. A disk that is full or read-only
    /// keeps nobody from a lock that has been there before; its holder has no name then.
    [[nodiscard]] static base::Result<LockFile> take(const std::filesystem::path& path);

 private:
    explicit LockFile(base::FileDescriptor file) : file_(std::move(file)) {}
    base::FileDescriptor file_;
};

}  // namespace safe::applying
