// Keeps the disk busy while a guest is restored. QEMU takes a while to start before it reads the saved memory; so
// starting and reading would come one after the other. What is here works beside the caller until it goes away, and is
// advice to the kernel alone: it changes no content, and what fails is left undone (posix_fadvise(2)). Going away waits
// a moment for a call under way; on a disk that no longer answers it is left to end when the disk's errors come, and
// holds nobody up.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

namespace safe::libvirt {

class Beside {
 public:
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
    ~Beside();

 protected:
    struct State;
    explicit Beside(std::function<void(State&)> work);

 private:
    std::shared_ptr<State> state_;
};

/// Reads the file into memory from its begin on, for whoever reads it next; of a larger one the first 512 MiB, as what
/// is read too early is given up again when memory is short.
class ReadAhead final : public Beside {
 public:
    explicit ReadAhead(const std::filesystem::path& file);
};

}  // namespace safe::libvirt
