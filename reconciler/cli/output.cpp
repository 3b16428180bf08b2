#include "reconciler/cli/output.hpp"

#include <nlohmann/json.hpp>
#include <poll.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

namespace safe::cli {
namespace {

constexpr std::size_t most_waiting = std::size_t{1} << 20;
constexpr auto patience_when_stopped = std::chrono::seconds(3);

/// 0, or why the rest of it was not written.
int write_whole(int stream, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(stream, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {  // whoever has the stream too made it so
            pollfd reader{.fd = stream, .events = POLLOUT, .revents = 0};
            static_cast<void>(::poll(&reader, 1, -1));
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

class Speaker {
 public:
    Speaker() {
        std::thread([this] { speak(); }).detach();  // it may be in a write that never ends when the process does
    }

    void take(int stream, std::string text) {
        const std::lock_guard lock(mutex_);
        if (waiting_ > most_waiting) return;
        waiting_ += text.size();
        said_.push_back({stream, std::move(text)});
        changed_.notify_all();
    }

    void wait(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        const auto written = [this] { return waiting_ == 0; };
        if (!changed_.wait(lock, stop, written)) changed_.wait_for(lock, patience_when_stopped, written);
    }

    /// Why standard output got not all that was said; 0, once told.
    int failure() {
        const std::lock_guard lock(mutex_);
        return std::exchange(failed_, 0);
    }

 private:
    struct Saying {
        int stream;
        std::string text;
    };

    [[noreturn]] void speak() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return !said_.empty(); });
            const Saying next = std::move(said_.front());
            said_.pop_front();
            lock.unlock();
            const int failed = write_whole(next.stream, next.text);
            lock.lock();
            // Who has stopped reading, or has hung up, wants to know no more.
            if (next.stream == STDOUT_FILENO && failed != 0 && failed != EPIPE && failed != EIO) failed_ = failed;
            waiting_ -= next.text.size();
            changed_.notify_all();
        }
    }

    std::mutex mutex_;  // guards everything below
    std::condition_variable_any changed_;
    std::deque<Saying> said_;
    std::size_t waiting_ = 0;  // bytes, with those that are being written
    int failed_ = 0;
};

Speaker& speaker() {
    static Speaker& one = *new Speaker;  // never destroyed: its thread does not end
    return one;
}

}  // namespace

void say_on(int stream, std::string text) {
    if (!text.empty()) speaker().take(stream, std::move(text));
}

void say_document(const nlohmann::ordered_json& document) {
    say("{}\n", document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void wait_until_said(const std::stop_token& stop) { speaker().wait(stop); }

base::Result<void> end_of_output(const std::stop_token& stop) {
    wait_until_said(stop);
    const int failed = speaker().failure();
    if (failed == 0) return {};
    return base::fail({"write to", "standard output", base::errno_text(failed),
                       "make room where it goes; what the command was to do it has done all the same"});
}

}  // namespace safe::cli
