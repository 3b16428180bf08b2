// What closing and locking do beside the convergence, because that may be kept waiting: by another run that holds the
// safe's lock, or by storage that does not answer, of which every look waits in the kernel.
#pragma once

#include <chrono>
#include <thread>

#include "reconciler/applying/driver_set.hpp"
#include "reconciler/cli/menu.hpp"

namespace safe::cli {

/// The steps of locking that cut people off (Step::cuts_off) alone, and without the safe's lock: they only take access
/// away. What does not come about here, the convergence tries again and says.
void cut_people_off(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around,
                    Format format);

/// What another run takes to end once it no longer waits for what does not answer.
inline constexpr auto time_to_get_free = std::chrono::seconds(20);

/// While it lives, and from the deadline on, nobody waits any longer for what does not answer: Driver::wait_no_longer,
/// every few seconds. Frees this run, and another one that is in the way.
class Impatience {
 public:
    Impatience(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around,
               std::chrono::seconds deadline, Format format);

 private:
    driver::KeyRing no_key_;
    applying::DriverSet drivers_;
    std::jthread watch_;  // ended first
};

}  // namespace safe::cli
