// Host on open-iscsi: sessions come from sysfs, logins and logouts go through iscsiadm, always below timeout(1),
// because iscsiadm itself waits for its daemon for ever. Nothing secret is in any argument: the secret lies in the node
// record.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <string_view>
#include <system_error>
#include <thread>

#include "plugins/iscsi/iscsi_api.hpp"
#include "plugins/iscsi/node_record.hpp"
#include "plugins/iscsi/sysfs.hpp"
#include "reconciler/base/file.hpp"
#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/process.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr int session_exists = 15;  // iscsiadm(8), exit status
constexpr std::string_view daemon_socket = "@ISCSIADM_ABSTRACT_NAMESPACE";

bool installed(const std::string& program) {
    return std::ranges::any_of(std::array{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}, [&](const char* directory) {
        return ::access((directory + program).c_str(), X_OK) == 0;
    });
}

/// Looks every 10 ms until it is so or the time is over.
bool soon(seconds limit, const std::function<bool()>& is_so) {
    for (const auto end = std::chrono::steady_clock::now() + limit; !is_so();) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

/// What a program complained of, on one line.
std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text.replace(at, 1, "; ");
    return text.empty() ? "it gave no reason" : text;
}

bool daemon_listens() {
    const auto sockets = base::read_file("/proc/net/unix", std::size_t{16} << 20U);
    return sockets && sockets->find(std::string(daemon_socket) + "\n") != std::string::npos;
}

class OpenIscsi final : public Host {
 public:
    OpenIscsi(std::string mark, Roots roots) : mark_(std::move(mark)), roots_(std::move(roots)) {}

    std::vector<std::string> missing() override {
        std::vector<std::string> lacking;
        for (const char* program : {"iscsiadm", "iscsid", "timeout"})
            if (!installed(program)) lacking.emplace_back(program);
        return lacking;
    }

    base::Result<std::vector<Session>> sessions() override { return read_sessions(roots_); }
    base::Result<std::vector<SeenRecord>> records() override { return list_records(nodes(), mark_); }

    base::Result<std::string> initiator_name() override {
        const fs::path path = roots_.configuration / "initiatorname.iscsi";
        const auto text = base::read_file(path, 65536);
        if (!text) return base::fail(text.error());
        constexpr std::string_view key = "InitiatorName=";
        for (std::string_view rest = *text; !rest.empty();) {
            std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            if (!line.starts_with(key)) continue;
            line.remove_prefix(key.size());
            return std::string(line.substr(0, line.find_last_not_of(" \t\r") + 1));
        }
        return base::fail({"find this host's iSCSI name in", path.string(), "it has no line InitiatorName=",
                           "write one with a name of your own, such as `iscsi-iname` makes"});
    }

    base::Result<void> log_in(const Login& login) override {
        if (auto ready = be_ready(); !ready) return ready;
        if (auto usable = reuse(login); !usable || *usable)
            return usable ? base::Result<void>() : base::fail(usable.error());
        if (auto written = write_record(nodes(), login, mark_); !written) return written;
        // iscsid tries the login three times.
        const seconds limit{login.timeouts.login * 3 + 15};
        auto asked = ask(limit, {"-m", "node", "-T", login.endpoint.target, "-p",
                                 fmt::format("{},{}", login.endpoint.portal, login.portal_group), "-I", mark_, "-l"});
        // A login that was under way when an earlier run was killed goes on without it, and may be done before ours.
        const bool already = asked && asked->status == session_exists;
        if (!asked || (asked->status != 0 && !already)) {
            const base::Error why = asked ? login_error(login, *asked) : asked.error();
            // The secret does not outlive the attempt. A session that came up all the same is found by its mark.
            if (auto forgotten = forget(login.endpoint); !forgotten) return forgotten;
            return base::fail(why);
        }
        if (soon(limit, [&] { return state_of(login.endpoint) == "LOGGED_IN"; })) return {};
        return base::fail({"log in to", name_of(login.endpoint),
                           already ? one_line(asked->errors) : "iscsiadm succeeded and there is no session",
                           "see what iscsid says in the system's log, and apply again"});
    }

    base::Result<void> scan(std::uint32_t session, std::uint32_t lun) override {
        const auto there = unit_directory(roots_, session, lun);
        const auto file = there ? *there / "rescan" : scan_file(roots_, session);
        if (!file) return gone("scan", session);
        if (auto written = write_to(*file, there ? "1" : fmt::format("0 0 {}", lun)); !written) return written;
        const bool came = soon(seconds(15), [&] {
            const auto unit = unit_directory(roots_, session, lun);
            std::error_code error;
            return unit && fs::exists(*unit / "block", error) && device_node_of(*unit);
        });
        if (came) return {};
        return base::fail({"attach", fmt::format("LUN {} of session {}", lun, session),
                           "the kernel made no block device of it", "see the kernel's log, and apply again"});
    }

    base::Result<void> flush(std::uint32_t session, std::uint32_t lun) override {
        const auto unit = unit_directory(roots_, session, lun);
        const auto device = unit ? device_node_of(*unit) : std::nullopt;
        if (!device) return {};
        base::FileDescriptor file(::open(device->c_str(), O_RDWR | O_CLOEXEC));
        if (!file && (errno == EROFS || errno == EACCES))
            file = base::FileDescriptor(::open(device->c_str(), O_RDONLY | O_CLOEXEC));
        if (!file || ::fsync(file.get()) != 0)
            return base::fail({"write back", device->string(), base::errno_text(errno), ""});
        return {};
    }

    base::Result<void> drop(std::uint32_t session, std::uint32_t lun) override {
        const auto unit = unit_directory(roots_, session, lun);
        if (!unit) return {};
        const auto written = write_to(*unit / "delete", "1");
        if (soon(seconds(15), [&] { return !unit_directory(roots_, session, lun); })) return {};
        if (!written) return written;
        return base::fail(
            {"take from the kernel", unit->string(), "it is still there", "see the kernel's log, and apply again"});
    }

    base::Result<void> log_out(std::uint32_t session) override {
        const fs::path at = roots_.sysfs / "class" / "iscsi_session" / fmt::format("session{}", session);
        std::error_code error;
        if (!fs::exists(at, error)) return {};
        if (auto ready = be_ready(); !ready) return ready;
        const auto asked = ask(seconds(45), {"-m", "session", "-r", std::to_string(session), "-u"});
        if (soon(seconds(asked ? 10 : 0), [&] { return !fs::exists(at, error); })) return {};
        if (!asked) return base::fail(asked.error());
        return base::fail({"log out of", fmt::format("iSCSI session {}", session),
                           asked->status == 124 ? "iscsid did not answer in time" : one_line(asked->errors),
                           "see what iscsid says in the system's log, and apply again"});
    }

    base::Result<void> forget(const Endpoint& endpoint) override {
        if (auto removed = remove_interface(roots_.configuration, mark_); !removed) return removed;
        return remove_record(nodes(), endpoint, mark_);
    }

 private:
    [[nodiscard]] fs::path nodes() const { return roots_.configuration / "nodes"; }

    static std::string name_of(const Endpoint& endpoint) { return endpoint.target + " at " + endpoint.portal; }

    static std::unexpected<base::Error> gone(std::string attempt, std::uint32_t session) {
        return base::fail({std::move(attempt), fmt::format("iSCSI session {}", session), "it is gone", "apply again"});
    }

    [[nodiscard]] std::optional<Session> session_to(const Endpoint& endpoint) const {
        auto all = read_sessions(roots_);
        if (!all) return std::nullopt;
        const auto found = std::ranges::find_if(
            *all, [&](const Session& session) { return session.endpoint == endpoint && session.interface == mark_; });
        return found == all->end() ? std::nullopt : std::optional(std::move(*found));
    }
    [[nodiscard]] std::string state_of(const Endpoint& endpoint) const {
        const auto session = session_to(endpoint);
        return session ? session->state : "";
    }

    /// Whether a session of ours is there and logged in. One that iscsid is bringing back is waited for; one that does
    /// not come back is ended, unless units hang on it.
    base::Result<bool> reuse(const Login& login) {
        const auto there = session_to(login.endpoint);
        if (!there) return false;
        if (soon(seconds(login.timeouts.login), [&] { return state_of(login.endpoint) == "LOGGED_IN"; })) return true;
        if (!there->units.empty())
            return base::fail({"use the session to", name_of(login.endpoint), "it is " + there->state,
                               "see what iscsid says in the system's log; close the safe to begin anew"});
        if (auto out = log_out(there->number); !out) return base::fail(out.error());
        return false;
    }

    /// The kernel's module, the directory that iscsiadm locks in, and the daemon.
    base::Result<void> be_ready() {
        std::error_code error;
        if (!fs::exists(roots_.sysfs / "class" / "iscsi_transport" / "tcp", error)) {
            const auto loaded = base::run_process({"modprobe", "iscsi_tcp"});
            if (!loaded) return base::fail(loaded.error());
            if (loaded->status != 0)
                return base::fail({"load the module", "iscsi_tcp", one_line(loaded->errors),
                                   "use a kernel that has CONFIG_ISCSI_TCP"});
        }
        fs::create_directories("/run/lock/iscsi", error);
        if (error) return base::fail({"make", "/run/lock/iscsi", error.message(), "see whether /run is writable"});
        if (daemon_listens()) return {};
        // With systemd its socket starts the daemon; iscsiadm asks for it by itself (iscsid.startup).
        if (fs::exists("/run/systemd/system", error)) return {};
        const auto started = base::run_process({"iscsid"});
        if (!started) return base::fail(started.error());
        if (started->status == 0 && soon(seconds(10), daemon_listens)) return {};
        return base::fail({"start", "iscsid", one_line(started->errors), "start it by hand and apply again"});
    }

    /// Runs iscsiadm, with the interface of our name there for as long as it runs.
    [[nodiscard]] base::Result<base::Finished> ask(seconds limit, const std::vector<std::string>& arguments) const {
        if (auto written = write_interface(roots_.configuration, mark_); !written) return base::fail(written.error());
        std::vector<std::string> all{"timeout", "-k", "5", std::to_string(limit.count()), "iscsiadm"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        auto finished = base::run_process(all);
        if (auto removed = remove_interface(roots_.configuration, mark_); !removed) return base::fail(removed.error());
        return finished;
    }

    static base::Error login_error(const Login& login, const base::Finished& asked) {
        base::Error error{"log in to", name_of(login.endpoint), one_line(asked.errors),
                          "see what iscsid says in the system's log, and apply again"};
        // iscsiadm(8), exit status.
        if (asked.status == 24) error.advice = "compare user and secret of `chap` with what the target expects";
        if (asked.status == 8) error.advice = "see whether the storage is up and reachable, and apply again";
        if (asked.status == 124) error.cause = "iscsid did not answer in time";
        return error;
    }

    /// The node in /dev, once it is there.
    [[nodiscard]] std::optional<fs::path> device_node_of(const fs::path& unit) const {
        std::error_code error;
        for (fs::directory_iterator at(unit / "block", error); !error && at != fs::directory_iterator();
             at.increment(error))
            if (fs::path node = roots_.devices / at->path().filename(); fs::exists(node, error)) return node;
        return std::nullopt;
    }

    static base::Result<void> write_to(const fs::path& file, std::string_view word) {
        const base::FileDescriptor to(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
        if (to && ::write(to.get(), word.data(), word.size()) == static_cast<ssize_t>(word.size())) return {};
        return base::fail({"write to", file.string(), base::errno_text(errno), "apply again"});
    }

    std::string mark_;
    Roots roots_;
};

}  // namespace

std::unique_ptr<Host> make_host(std::string mark, Roots roots) {
    return std::make_unique<OpenIscsi>(std::move(mark), std::move(roots));
}

}  // namespace safe::iscsi
