#include "reconciler/cli/password.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/cli/output.hpp"
#include "reconciler/cli/typed_input.hpp"

namespace safe::cli {
namespace {

using base::Result;
using base::Secret;

constexpr std::size_t longest_password = 1024;

std::unexpected<base::Error> unreadable(std::string cause, std::string advice) {
    return base::fail(
        {.attempt = "read", .object = "the password", .cause = std::move(cause), .advice = std::move(advice)});
}

/// Switches the terminal's echo off for as long as it lives.
class Silence {
 public:
    explicit Silence(int terminal) : terminal_(terminal) {
        if (::tcgetattr(terminal, &before_) != 0) return;
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        is_silent_ = ::tcsetattr(terminal, TCSAFLUSH, &silent) == 0;
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    Silence(Silence&&) = delete;
    Silence& operator=(Silence&&) = delete;
    ~Silence() {
        if (is_silent_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
    }
    [[nodiscard]] bool holds() const { return is_silent_; }

 private:
    int terminal_;
    termios before_{};
    bool is_silent_ = false;
};

}  // namespace

/// One line, byte by byte, so that nothing behind it is taken away from whoever reads next.
Result<Secret> Passwords::read_line(int descriptor) const {
    Result<Secret> line = Secret::of_size(longest_password);
    if (!line) return line;
    std::size_t size = 0;
    for (;;) {
        if (Result<void> typed = wait_for_input(descriptor, stop_, "read", "the password"); !typed)
            return base::fail(typed.error());
        std::byte next{};
        const ssize_t got = ::read(descriptor, &next, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return unreadable(base::errno_text(errno), "check the descriptor given with --password-fd");
        if (got == 0 || next == std::byte{'\n'}) break;
        if (size == longest_password) {
            base::wipe({&next, 1});
            return unreadable("it is longer than 1024 bytes", "give the password alone on its line");
        }
        line->bytes()[size++] = next;
        base::wipe({&next, 1});
    }
    line->shorten(size);
    if (line->empty()) return unreadable("it is empty", "give the password");
    return line;
}

Result<Secret> Passwords::next(const std::string& prompt) const {
    if (descriptor_) return read_line(*descriptor_);
    const base::FileDescriptor terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!terminal) return unreadable("there is no terminal to ask on", "give it with --password-fd N");
    const Silence silence(terminal.get());
    if (!silence.holds())
        return unreadable("the terminal's echo cannot be switched off", "give it with --password-fd N");
    wait_until_said(stop_);  // it may be what they are asked about
    const std::string question = prompt + ": ";
    static_cast<void>(!::write(terminal.get(), question.data(), question.size()));
    Result<Secret> password = read_line(terminal.get());
    static_cast<void>(!::write(terminal.get(), "\n", 1));
    return password;
}

}  // namespace safe::cli
