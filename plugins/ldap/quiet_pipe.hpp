// QuietPipe: while it lives, a write to a connection that the other side has closed is an error for this thread and no
// signal that ends the process (SIGPIPE), which libldap does not see to. Leaves the process's own handling alone.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <ctime>

namespace safe::ldap {

class QuietPipe {
 public:
    QuietPipe() {
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    QuietPipe(const QuietPipe&) = delete;
    QuietPipe& operator=(const QuietPipe&) = delete;
    QuietPipe(QuietPipe&&) = delete;
    QuietPipe& operator=(QuietPipe&&) = delete;
    ~QuietPipe() {
        // One that came meanwhile is ours: a broken pipe is told to the thread that wrote.
        const timespec now{};
        if (!was_pending_)
            while (sigtimedwait(&pipe_, nullptr, &now) > 0) continue;
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

 private:
    bool was_pending_ = false;
    sigset_t pipe_{};
    sigset_t before_{};
};

}  // namespace safe::ldap
