#include "plugins/libvirt/page_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::libvirt {

/// What the caller and the thread share, and who ends last takes away.
struct ReadAhead::State {
    void read(const std::filesystem::path& file) {
        constexpr off_t furthest = off_t{512} << 20;
        constexpr off_t piece = off_t{128} << 10;  // a call reads no more than the device's read-ahead, by default this
        const base::FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat status{};
        if (!opened || ::fstat(opened.get(), &status) != 0) return;
        const off_t end = std::min<off_t>(status.st_size, furthest);
        for (off_t at = 0; at < end && !is_ending(); at += piece)
            if (::posix_fadvise(opened.get(), at, piece, POSIX_FADV_WILLNEED) != 0) return;
    }

    bool is_ending() {
        const std::scoped_lock lock(mutex);
        return ending;
    }

    std::mutex mutex;
    std::condition_variable over;
    bool ending = false;
    bool ended = false;
};

ReadAhead::ReadAhead(std::filesystem::path file) : state_(std::make_shared<State>()) {
    std::thread([state = state_, file = std::move(file)] {
        state->read(file);
        const std::scoped_lock lock(state->mutex);
        state->ended = true;
        state->over.notify_all();
    }).detach();
}

ReadAhead::~ReadAhead() {
    constexpr auto farewell = std::chrono::milliseconds(500);
    std::unique_lock lock(state_->mutex);
    state_->ending = true;
    state_->over.wait_for(lock, farewell, [this] { return state_->ended; });
}

}  // namespace safe::libvirt
