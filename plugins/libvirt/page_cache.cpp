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
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr off_t furthest = off_t{512} << 20;
constexpr off_t piece = off_t{128} << 10;  // one call reads no more than the device's read-ahead, by default this much
constexpr milliseconds farewell{500};

base::FileDescriptor open_quietly(const fs::path& file) {
    return base::FileDescriptor(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

}  // namespace

/// What the caller and the work share, and who ends last takes away.
struct Beside::State {
    /// Sleeps; false when it is time to end.
    bool goes_on_after(milliseconds pause) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, pause, [this] { return ending; });
        return !ending;
    }

    std::mutex mutex;
    std::condition_variable changed;
    bool ending = false;
    bool ended = false;
};

Beside::Beside(std::function<void(State&)> work) : state_(std::make_shared<State>()) {
    std::thread([state = state_, work = std::move(work)] {
        work(*state);
        const std::scoped_lock lock(state->mutex);
        state->ended = true;
        state->changed.notify_all();
    }).detach();
}

Beside::~Beside() {
    std::unique_lock lock(state_->mutex);
    state_->ending = true;
    state_->changed.notify_all();
    state_->changed.wait_for(lock, farewell, [this] { return state_->ended; });
}

ReadAhead::ReadAhead(const fs::path& file)
    : Beside([file](State& state) {
          const base::FileDescriptor opened = open_quietly(file);
          struct stat status{};
          if (!opened || ::fstat(opened.get(), &status) != 0) return;
          const off_t end = std::min<off_t>(status.st_size, furthest);
          for (off_t at = 0; at < end && state.goes_on_after(milliseconds(0)); at += piece)
              if (::posix_fadvise(opened.get(), at, piece, POSIX_FADV_WILLNEED) != 0) return;
      }) {}

}  // namespace safe::libvirt
