#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "plugins/ldap/ldap_lib.hpp"
#include "plugins/ldap/wiping_memory.hpp"
#include "reconciler/base/characters.hpp"
#include "reconciler/driver/secret_source.hpp"

namespace safe::ldap {
namespace {

constexpr ber_len_t largest_answer = ber_len_t{16} << 20U;

Failure::Kind kind_of(int code) {
    switch (code) {
        case LDAP_SERVER_DOWN:
        case LDAP_TIMEOUT:
        case LDAP_CONNECT_ERROR:
        case LDAP_UNAVAILABLE:
        case LDAP_BUSY:
            return Failure::Kind::unreachable;
        case LDAP_NO_SUCH_OBJECT:
            return Failure::Kind::missing;
        case LDAP_ALREADY_EXISTS:
            return Failure::Kind::exists;
        case LDAP_NO_SUCH_ATTRIBUTE:
        case LDAP_TYPE_OR_VALUE_EXISTS:
        case LDAP_ASSERTION_FAILED:
            return Failure::Kind::not_as_was;
        default:
            return Failure::Kind::failed;
    }
}

std::string advice_for(int code) {
    switch (kind_of(code)) {
        case Failure::Kind::unreachable:
            return "see that the directory server runs and can be reached, then try again";
        case Failure::Kind::missing:
        case Failure::Kind::exists:
        case Failure::Kind::not_as_was:
            return "somebody else changes the directory; try again";
        case Failure::Kind::failed:
            break;
    }
    switch (code) {
        case LDAP_INVALID_CREDENTIALS:
            return "compare directory.bind with what the server knows";
        case LDAP_INSUFFICIENT_ACCESS:
            return "give directory.bind the rights that examples/directory/access.ldif gives";
        case LDAP_UNDEFINED_TYPE:
        case LDAP_OBJECT_CLASS_VIOLATION:
        case LDAP_INVALID_SYNTAX:
            return "load the schema into the server: examples/directory";
        default:
            return "look at the server's log";
    }
}

void set(LDAP* handle, int option, const void* value) { ldap_set_option(handle, option, value); }
void set_number(LDAP* handle, int option, int value) { set(handle, option, &value); }

/// One call of the kernel for many entries, instead of three for each (lber-sockbuf(3)). Below TLS, above the socket.
void read_ahead(LDAP* handle) {
    Sockbuf* socket = nullptr;
    if (ldap_get_option(handle, LDAP_OPT_SOCKBUF, static_cast<void*>(&socket)) == LDAP_OPT_SUCCESS && socket != nullptr)
        ber_sockbuf_add_io(socket, &ber_sockbuf_io_readahead, LBER_SBIOD_LEVEL_PROVIDER, nullptr);
}

Failure refusal(const Options& options, std::string cause, std::string advice) {
    return {Failure::Kind::failed,
            {"connect to", options.uri, std::move(cause), std::move(advice), base::Error::Kind::refused}};
}

std::expected<void, Failure> check(const Options& options) {
    const bool local = options.uri.starts_with("ldapi://");
    if (!local && !options.uri.starts_with("ldaps://") && !options.uri.starts_with("ldap://"))
        return std::unexpected(refusal(options, "it is no address of a directory server", "write ldaps://HOST"));
    if (!local && !options.ca)
        return std::unexpected(refusal(options, "no authority is named whose certificates count", "give directory.ca"));
    if (!local && !options.bind)
        return std::unexpected(refusal(options, "nobody is named to bind as", "give directory.bind"));
    if (options.ca && ::access(options.ca->c_str(), R_OK) != 0)
        return std::unexpected(refusal(options, options.ca->string() + ": " + base::errno_text(errno),
                                       "put the authority's certificate there, in PEM"));
    return {};
}

}  // namespace

Failure failure_of(LDAP* handle, int code, std::string attempt, std::string object) {
    std::string cause = ldap_err2string(code);
    char* said = nullptr;
    if (handle != nullptr && ldap_get_option(handle, LDAP_OPT_DIAGNOSTIC_MESSAGE, static_cast<void*>(&said)) == 0) {
        const Text text(said);
        // What a server says is for people: bounded, and without characters that a terminal would obey.
        if (text && *text != '\0') cause += ": " + base::printable(std::string_view(text.get()).substr(0, 200));
    }
    return {kind_of(code), {std::move(attempt), std::move(object), std::move(cause), advice_for(code)}};
}

// --- one connection

Line::Line(std::chrono::milliseconds patience)
    : patience_(patience),
      callbacks_{on_connected, on_closing, this},
      watcher_([this](const std::stop_token& stop) { watch(stop); }) {}

Line::~Line() {
    const Call saying_goodbye(*this);
    handle_.reset();
}

/// Called by libldap once a connection is made, before a byte is sent.
int Line::on_connected(LDAP* /*handle*/, Sockbuf* socket, LDAPURLDesc* /*url*/, sockaddr* /*address*/,
                       ldap_conncb* callbacks) {
    auto* line = static_cast<Line*>(callbacks->lc_arg);
    ber_len_t most = largest_answer;  // no answer may claim to be larger than memory
    ber_sockbuf_ctrl(socket, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    ber_socket_t descriptor = -1;
    if (ber_sockbuf_ctrl(socket, LBER_SB_OPT_GET_FD, &descriptor) != 1) return -1;
    const std::scoped_lock lock(line->mutex_);
    line->descriptor_ = descriptor;
    line->connected_ = true;
    return 0;
}

/// … and before it closes one, so that the descriptor is not cut when it belongs to somebody else already.
void Line::on_closing(LDAP* /*handle*/, Sockbuf* /*socket*/, ldap_conncb* callbacks) {
    auto* line = static_cast<Line*>(callbacks->lc_arg);
    const std::scoped_lock lock(line->mutex_);
    line->descriptor_ = -1;
}

void Line::set_deadline(std::optional<Clock::time_point> deadline) {
    const std::scoped_lock lock(mutex_);
    deadline_ = deadline;
    changed_.notify_all();
}

void Line::watch(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (!deadline_) {
            changed_.wait(lock, stop, [this] { return deadline_.has_value(); });
        } else if (const Clock::time_point end = *deadline_; Clock::now() < end) {
            changed_.wait_until(lock, stop, end, [this, end] { return deadline_ != end; });
        } else {
            if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_RDWR);
            deadline_.reset();
        }
    }
}

/// Everything that /etc/ldap/ldap.conf, ~/.ldaprc or the environment might have told libldap, said again.
void Line::set_options(const Options& options, bool verify) {
    LDAP* handle = handle_.get();
    const timeval patience = to_timeval(patience_);
    set_number(handle, LDAP_OPT_PROTOCOL_VERSION, LDAP_VERSION3);
    set_number(handle, LDAP_OPT_DEREF, LDAP_DEREF_NEVER);
    set_number(handle, LDAP_OPT_SIZELIMIT, LDAP_NO_LIMIT);
    set_number(handle, LDAP_OPT_TIMELIMIT, LDAP_NO_LIMIT);
    set(handle, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    set(handle, LDAP_OPT_RESTART, LDAP_OPT_ON);
    set(handle, LDAP_OPT_NETWORK_TIMEOUT, &patience);
    set(handle, LDAP_OPT_TIMEOUT, &patience);
    set(handle, LDAP_OPT_CONNECT_CB, &callbacks_);
    if (!options.ca) return;
    set(handle, LDAP_OPT_X_TLS_CACERTFILE, options.ca->c_str());
    set(handle, LDAP_OPT_X_TLS_CACERTDIR, nullptr);
    set(handle, LDAP_OPT_X_TLS_CERTFILE, nullptr);
    set(handle, LDAP_OPT_X_TLS_KEYFILE, nullptr);
    set_number(handle, LDAP_OPT_X_TLS_REQUIRE_CERT, verify ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER);
    set_number(handle, LDAP_OPT_X_TLS_REQUIRE_SAN, verify ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER);
    set_number(handle, LDAP_OPT_X_TLS_PROTOCOL_MIN, LDAP_OPT_X_TLS_PROTOCOL_TLS1_2);
    set_number(handle, LDAP_OPT_X_TLS_NEWCTX, 0);
}

int Line::secure(const Options& options, bool verify) {
    LDAP* raw = nullptr;
    if (const int code = ldap_initialize(&raw, options.uri.c_str()); code != LDAP_SUCCESS) return code;
    handle_.reset(raw);
    set_options(options, verify);
    const Call call(*this);
    const int code = options.uri.starts_with("ldap://") ? ldap_start_tls_s(raw, nullptr, nullptr) : ldap_connect(raw);
    if (code == LDAP_SUCCESS) read_ahead(raw);
    return code;
}

Answer<std::unique_ptr<Line>> Line::open(const Options& options, bool verify) {
    make_ldap_memory_wiped();
    if (auto possible = check(options); !possible) return std::unexpected(std::move(possible.error()));
    std::unique_ptr<Line> line(new Line(options.patience));
    const int code = line->secure(options, verify);
    if (code == LDAP_SUCCESS) return line;
    Failure failure = failure_of(line->handle(), code, "connect to", options.uri);
    // GnuTLS gives no reason that libldap would pass on. What works as soon as nobody looks at the certificate (and
    // with nothing sent) fails because of it.
    if (verify && options.ca && line->connected_ && failure.kind == Failure::Kind::unreachable &&
        open(options, false)) {
        failure.kind = Failure::Kind::failed;
        failure.error.cause =
            "its certificate does not come from " + options.ca->string() + ", is for another name, or is not valid now";
        failure.error.advice =
            "do not go on before you know who answers there; then correct directory.ca or the server";
    }
    return std::unexpected(std::move(failure));
}

int Line::bind(const std::string& name, const base::Secret& password) {
    // An empty password would make it an anonymous bind, which succeeds (RFC 4513, 5.1.2).
    if (password.empty() || name.empty()) return LDAP_INVALID_CREDENTIALS;
    const Call call(*this);
    berval credentials{password.size(), const_cast<char*>(password.view().data())};
    return ldap_sasl_bind_s(handle(), name.c_str(), LDAP_SASL_SIMPLE, &credentials, nullptr, nullptr, nullptr);
}

int Line::bind_as_local_user() {
    const Call call(*this);
    std::array<char, 1> nothing{};
    berval as_the_kernel_says{0, nothing.data()};
    return ldap_sasl_bind_s(handle(), nullptr, "EXTERNAL", &as_the_kernel_says, nullptr, nullptr, nullptr);
}

Answer<std::unique_ptr<Line>> open_and_bind(const Options& options) {
    Answer<std::unique_ptr<Line>> line = Line::open(options);
    if (!line) return line;
    int code = LDAP_OTHER;
    if (options.bind) {
        const base::Result<base::Secret> password = driver::read_secret(options.bind->password);
        if (!password) return std::unexpected(Failure{Failure::Kind::failed, password.error()});
        code = (*line)->bind(options.bind->name, *password);
    } else {
        code = (*line)->bind_as_local_user();
    }
    if (code != LDAP_SUCCESS) return std::unexpected(failure_of((*line)->handle(), code, "log in to", options.uri));
    return line;
}

}  // namespace safe::ldap
