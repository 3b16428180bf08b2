// Handles of libldap, and what its answers mean. For the files that speak to libldap alone.
#pragma once

#include <ldap.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "plugins/ldap/connection.hpp"
#include "plugins/ldap/ldap_api.hpp"
#include "plugins/ldap/quiet_pipe.hpp"
#include "reconciler/base/unique_handle.hpp"

namespace safe::ldap {

inline int close_handle(LDAP* handle) { return ldap_unbind_ext_s(handle, nullptr, nullptr); }
inline void free_message(LDAPMessage* message) { ldap_msgfree(message); }
inline void free_text(char* text) { ldap_memfree(text); }
inline void free_values(berval** values) { ldap_value_free_len(values); }

using Handle = base::UniqueHandle<LDAP, close_handle>;
using Message = base::UniqueHandle<LDAPMessage, free_message>;
using Text = base::UniqueHandle<char, free_text>;
using BerValues = base::UniqueHandle<berval*, free_values>;
using Control = base::UniqueHandle<LDAPControl, ldap_control_free>;
using Element = base::UniqueHandle<BerElement, [](BerElement* element) { ber_free(element, 0); }>;

[[nodiscard]] inline timeval to_timeval(std::chrono::milliseconds time) {
    return {.tv_sec = time.count() / 1000, .tv_usec = (time.count() % 1000) * 1000};
}

/// A result code of RFC 4511 (or one of libldap's own, below 0) as a Failure, in the words of the server.
[[nodiscard]] Failure failure_of(LDAP* handle, int code, std::string attempt, std::string object);

/// One connection. libldap's own time limits do not cover a handshake of TLS that stalls, nor an answer of which half
/// has come; so a thread of each line's own cuts it off (shutdown(2)) when a call takes twice its patience.
class Line {
 public:
    /// Connects, with TLS unless local, as nobody yet. `verify` is only false for finding out what is wrong.
    [[nodiscard]] static Answer<std::unique_ptr<Line>> open(const Options& options, bool verify = true);

    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    Line(Line&&) = delete;
    Line& operator=(Line&&) = delete;
    ~Line();

    [[nodiscard]] LDAP* handle() const { return handle_.get(); }

    /// Says who is there; a result code. An empty `password` is refused before anything is sent.
    [[nodiscard]] int bind(const std::string& name, const base::Secret& password);
    /// As whom the kernel says we are, on a local socket.
    [[nodiscard]] int bind_as_local_user();

    /// While it lives, a call is under way.
    class Call {
     public:
        explicit Call(Line& line) : line_(line) { line_.set_deadline(Clock::now() + 2 * line_.patience_); }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        Call(Call&&) = delete;
        Call& operator=(Call&&) = delete;
        ~Call() { line_.set_deadline(std::nullopt); }

     private:
        Line& line_;
        QuietPipe quiet_;
    };

 private:
    using Clock = std::chrono::steady_clock;

    explicit Line(std::chrono::milliseconds patience);
    [[nodiscard]] int secure(const Options& options, bool verify);
    void set_options(const Options& options, bool verify);
    void set_deadline(std::optional<Clock::time_point> deadline);
    void watch(const std::stop_token& stop);
    static int on_connected(LDAP* handle, Sockbuf* socket, LDAPURLDesc* url, sockaddr* address, ldap_conncb* callbacks);
    static void on_closing(LDAP* handle, Sockbuf* socket, ldap_conncb* callbacks);

    const std::chrono::milliseconds patience_;
    std::mutex mutex_;  // guards the three below
    std::condition_variable_any changed_;
    int descriptor_ = -1;
    bool connected_ = false;  // it was, at some time
    std::optional<Clock::time_point> deadline_;
    ldap_conncb callbacks_;
    Handle handle_;
    std::jthread watcher_;  // ends before the rest goes
};

/// open(), and then as whom the options say.
[[nodiscard]] Answer<std::unique_ptr<Line>> open_and_bind(const Options& options);

}  // namespace safe::ldap
