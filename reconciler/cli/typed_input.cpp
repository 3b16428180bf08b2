#include "reconciler/cli/typed_input.hpp"

#include <poll.h>

#include <cerrno>

namespace safe::cli {

base::Result<void> wait_for_input(int descriptor, const std::stop_token& stop, const char* attempt,
                                  const char* object) {
    constexpr int milliseconds_between_looks = 100;
    pollfd waited{.fd = descriptor, .events = POLLIN, .revents = 0};
    while (!stop.stop_requested()) {
        const int ready = ::poll(&waited, 1, milliseconds_between_looks);
        // Another error of poll is one of the read that follows, which says more.
        if (ready > 0 || (ready < 0 && errno != EINTR)) return {};
    }
    return base::fail({attempt, object, "interrupted", "", base::Error::Kind::interrupted});
}

}  // namespace safe::cli
