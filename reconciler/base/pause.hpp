// Sleeping that ends early when a stop is asked for. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace safe::base {

/// False when a stop was asked for by then.
inline bool pause_until(std::chrono::steady_clock::time_point time, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_until(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
}

inline bool pause_for(std::chrono::milliseconds time, const std::stop_token& stop) {
    return pause_until(std::chrono::steady_clock::now() + time, stop);
}

}  // namespace safe::base
