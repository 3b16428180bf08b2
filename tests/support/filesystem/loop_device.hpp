// A block device for a test: a sparse file behind a loop device of the kernel's, detached when the object goes.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "reconciler/base/error.hpp"
#include "reconciler/base/file_descriptor.hpp"

namespace safe::test {

class LoopDevice {
 public:
    /// Not there afterwards when the machine has no loop devices: see why().
    LoopDevice(const std::filesystem::path& file, off_t size) {
        const base::FileDescriptor content(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        const base::FileDescriptor control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
        if (!content || !control || ::ftruncate(content.get(), size) != 0) {
            why_ = base::errno_text(errno);
            return;
        }
        // Somebody else may take the free one first.
        for (int attempt = 0; attempt < 10 && path_.empty(); ++attempt) {
            const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
            const std::string path = "/dev/loop" + std::to_string(number);
            base::FileDescriptor device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
            if (number >= 0 && device && ::ioctl(device.get(), LOOP_SET_FD, content.get()) == 0) {
                path_ = path;
                device_ = std::move(device);
            } else {
                why_ = path + ": " + base::errno_text(errno);
            }
        }
    }
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;
    LoopDevice(LoopDevice&&) = delete;
    LoopDevice& operator=(LoopDevice&&) = delete;
    ~LoopDevice() {
        if (device_) ::ioctl(device_.get(), LOOP_CLR_FD, 0);
    }

    [[nodiscard]] bool there() const { return !path_.empty(); }
    [[nodiscard]] const std::string& why() const { return why_; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
    std::filesystem::path path_;
    base::FileDescriptor device_;
    std::string why_;
};

}  // namespace safe::test
