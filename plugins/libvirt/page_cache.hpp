// Keeps the disk busy while a guest is restored. QEMU takes a while to start before it reads the saved memory; so
// starting and reading would come one after the other.
#pragma once

#include <filesystem>
#include <memory>

namespace safe::libvirt {

/// Reads the file into memory from its begin on, beside the caller and until it goes away, for whoever reads it next;
/// of a larger one the first 512 MiB, as what is read too early is given up again when memory is short. Advice to the
/// kernel alone: it changes no content, and what fails is left undone (posix_fadvise(2)). Going away waits a moment for
/// a call under way; on a disk that no longer answers it is left to end when the disk's errors come, and holds nobody
/// up.
class ReadAhead {
 public:
    explicit ReadAhead(std::filesystem::path file);
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;
    ReadAhead(ReadAhead&&) = delete;
    ReadAhead& operator=(ReadAhead&&) = delete;
    ~ReadAhead();

 private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace safe::libvirt
