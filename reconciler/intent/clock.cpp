#include "reconciler/intent/clock.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <ctime>

#include "reconciler/base/file.hpp"

namespace safe::intent {
namespace {

constexpr const char* boot_id_path = "/proc/sys/kernel/random/boot_id";

}  // namespace

base::Result<Now> SystemClock::now() const {
    base::Result<std::string> boot = base::read_file(boot_id_path, 64);
    if (!boot) return base::fail(boot.error());
    while (boot->ends_with('\n')) boot->pop_back();
    timespec since{};
    if (boot->empty() || ::clock_gettime(CLOCK_BOOTTIME, &since) != 0)
        return base::fail({.attempt = "tell",
                           .object = "the time since the host booted",
                           .cause = boot->empty() ? std::string(boot_id_path) + " is empty" : base::errno_text(errno)});
    return Now{.wall = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()),
               .since_boot = std::chrono::seconds(since.tv_sec) +
                             std::chrono::duration_cast<BootTime>(std::chrono::nanoseconds(since.tv_nsec)),
               .boot = std::move(*boot)};
}

std::string to_text(WallTime time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace safe::intent
