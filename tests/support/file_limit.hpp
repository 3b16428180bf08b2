// A disk that is full, to whoever writes: no file of this process grows past so many bytes (RLIMIT_FSIZE).
#pragma once

#include <signal.h>
#include <sys/resource.h>

namespace safe::testing {

class FileLimit {
 public:
    explicit FileLimit(rlim_t bytes) : handled_(::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit now{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    FileLimit(const FileLimit&) = delete;
    FileLimit& operator=(const FileLimit&) = delete;
    FileLimit(FileLimit&&) = delete;
    FileLimit& operator=(FileLimit&&) = delete;
    ~FileLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        static_cast<void>(::signal(SIGXFSZ, handled_));
    }

 private:
    rlimit before_{};
    sighandler_t handled_;
};

}  // namespace safe::testing
