#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <sstream>

#include "plugins/nfs/nfs_api.hpp"
#include "plugins/nfs/nfs_text.hpp"
#include "plugins/nfs/read_packets.hpp"
#include "reconciler/base/exportfs.hpp"
#include "reconciler/base/file.hpp"
#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/process.hpp"

namespace safe::nfs {
namespace {

namespace fs = std::filesystem;
using base::errno_text;
using base::fail;
using base::Result;

constexpr const char* control = "/proc/fs/nfsd";
constexpr const char* clients_directory = "/proc/fs/nfsd/clients";
constexpr const char* etab = "/var/lib/nfs/etab";
// Seconds. A client that comes back has the first to reclaim what it held; the second is how long it may be silent.
constexpr const char* grace_time = "10";
constexpr const char* lease_time = "10";
constexpr const char* threads = "8";
// What the programs of nfs-utils read besides /etc/nfs.conf. Debian's has manage-gids=y, by which the groups of a user
// are those that the hypervisor knows of, which are none; guests' permissions want the guests' groups. There is no
// option on the command line for it.
constexpr const char* settings = "/etc/nfs.conf.d/safe.conf";
constexpr const char* settings_text =
    "# Written by safectl for the exports of a digital safe.\n[mountd]\nmanage-gids=n\n";
constexpr const char* groups_by_server = "rpc.mountd takes users' groups from the hypervisor (manage-gids)";
constexpr std::uint64_t pipefs_magic = 0x67596969;  // RPCAUTH_GSSMAGIC of linux/sunrpc/rpc_pipe_fs.h

struct Text {
    std::string text;
    int error = 0;  // of errno; ENOENT: there is no such file
};

Text whole(const fs::path& file) {
    const base::FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened) return {{}, errno};
    Text read;
    std::array<char, 8192> buffer{};
    for (;;) {
        const ssize_t got = ::read(opened.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return {{}, errno};
        if (got == 0) return read;
        read.text.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

base::Error unreadable(const fs::path& file, int error) {
    return {"read", file.string(), errno_text(error), "run as root"};
}

struct Running {
    std::set<std::string> names;    // of all that runs, kernel threads too
    bool groups_by_server = false;  // rpc.mountd answers the kernel's questions for groups
};

/// The kernel asks through a channel, which rpc.mountd has open when it is told to answer.
bool answers_for_groups(const fs::path& process) {
    std::error_code ended;
    for (fs::directory_iterator it(process / "fd", ended), end; !ended && it != end; it.increment(ended)) {
        std::error_code closed;
        if (fs::read_symlink(it->path(), closed).string().ends_with("/auth.unix.gid/channel")) return true;
    }
    return false;
}

Running running() {
    Running found;
    std::error_code ended;
    for (fs::directory_iterator it("/proc", ended), end; !ended && it != end; it.increment(ended)) {
        const std::string pid = it->path().filename();
        if (!std::ranges::all_of(pid, [](char c) { return c >= '0' && c <= '9'; })) continue;
        std::string name = whole(it->path() / "comm").text;
        if (!name.empty()) name.pop_back();
        if (name == "rpc.mountd" && answers_for_groups(it->path())) found.groups_by_server = true;
        found.names.insert(std::move(name));
    }
    return found;
}

bool is_pipefs(const char* directory) {
    struct statfs status{};
    return ::statfs(directory, &status) == 0 && static_cast<std::uint64_t>(status.f_type) == pipefs_magic;
}

Result<void> mount_if(bool needed, const char* type, const char* target) {
    if (!needed) return {};
    std::error_code ignored;  // mount(2) says it better
    fs::create_directories(target, ignored);
    if (::mount(type, target, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) return {};
    return fail({"start", "the NFS server", fmt::format("cannot mount {} on {}: {}", type, target, errno_text(errno)),
                 "look whether this kernel has NFSD (`modprobe nfsd`)"});
}

Result<void> run(const std::vector<std::string>& program, std::string attempt, std::string object) {
    auto ended = base::run_process(program);
    if (!ended) {
        base::Error error = ended.error();
        error.advice = "install nfs-kernel-server";
        return fail(std::move(error));
    }
    if (ended->status == 0) return {};
    std::string said = ended->errors.substr(0, ended->errors.find('\n'));
    if (said.empty()) said = "it gave no reason";
    return fail({std::move(attempt), std::move(object),
                 fmt::format("{} ended with {}: {}", program[0], ended->status, said),
                 "see the log of the system, and `exportfs -v`"});
}

class SystemApi final : public Api {
 public:
    Result<Tables> tables() override {
        const Text granted = whole(etab);
        if (granted.error != 0 && granted.error != ENOENT) return fail(unreadable(etab, granted.error));
        const fs::path kernel = fs::path(control) / "exports";
        const Text cached = whole(kernel);
        if (cached.error != 0 && cached.error != ENOENT) return fail(unreadable(kernel, cached.error));
        auto first = parse_exports(granted.text, etab);
        if (!first) return fail(first.error());
        auto second = parse_exports(cached.text, kernel);
        if (!second) return fail(second.error());
        // The way to an export is itself exported, read-only and without content.
        std::erase_if(*second, [](const Export& one) { return one.options.contains("v4root"); });
        const fs::path handles = "/proc/net/rpc/nfsd.fh/content";
        const Text kept = whole(handles);
        if (kept.error != 0 && kept.error != ENOENT) return fail(unreadable(handles, kept.error));
        std::ranges::move(parse_handles(kept.text), std::back_inserter(*second));
        return Tables{*std::move(first), *std::move(second)};
    }

    Result<Server> server() override {
        const auto [names, by_server] = running();
        const Text count = whole(fs::path(control) / "threads");
        if (count.error != 0) {
            if (!names.contains("nfsd")) return Server{};
            return fail({"look at", "the NFS server", fmt::format("it runs, and {} is not there", control),
                         fmt::format("`mount -t nfsd nfsd {}`", control)});
        }
        Server seen{.threads = static_cast<unsigned>(std::stoul("0" + count.text))};
        if (seen.threads == 0) return seen;
        const Text versions = whole(fs::path(control) / "versions");
        if (versions.error != 0) return fail(unreadable(fs::path(control) / "versions", versions.error));
        seen.versions = parse_versions(versions.text);
        for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
            const Text sockets = whole(file);
            if (sockets.error != 0 && sockets.error != ENOENT) return fail(unreadable(file, sockets.error));
            seen.listeners.merge(parse_listeners(sockets.text));
        }
        for (const char* daemon : {"rpc.mountd", "nfsdcld"})
            if (!names.contains(daemon)) seen.missing.insert(daemon);
        if (by_server) seen.faults.insert(groups_by_server);
        return seen;
    }

    Result<std::optional<dev_t>> mounted(const fs::path& path) override {
        std::array<struct stat, 2> status{};
        std::size_t i = 0;
        for (const fs::path& one : {path, path.parent_path()})
            if (::lstat(one.c_str(), &status.at(i++)) != 0) {
                if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
                return fail({"look at", one.string(), errno_text(errno), "see the kernel's log"});
            }
        if (status[0].st_dev == status[1].st_dev) return std::nullopt;
        return status[0].st_dev;
    }

    Result<std::vector<Holder>> holders(dev_t device) override {
        auto clients = ids_of_clients();
        if (!clients) return fail(clients.error());
        std::vector<Holder> found;
        for (const std::string& id : *clients) {
            const fs::path client = fs::path(clients_directory) / id;
            const Text states = whole(client / "states");
            if (states.error == ENOENT || states.error == ENXIO) continue;  // it left meanwhile
            if (states.error != 0) return fail(unreadable(client / "states", states.error));
            if (!holds_state_on(states.text, device)) continue;
            found.push_back({id, parse_client_address(whole(client / "info").text)});
        }
        return found;
    }

    Result<void> grant(const fs::path& path, const std::vector<std::string>& clients,
                       const std::string& options) override {
        std::vector<std::string> program{"exportfs", "-o", options};
        for (const std::string& client : clients) program.push_back(base::exportfs_argument(client, path.string()));
        return run(program, "export", fmt::format("{} to {}", path.string(), fmt::join(clients, ", ")));
    }

    Result<void> withdraw(const std::vector<Export>& exports) override {
        std::vector<std::string> program{"exportfs", "-u"};
        for (const Export& one : exports) program.push_back(base::exportfs_argument(one.client, one.path.string()));
        return run(program, "withdraw the export of", exports.front().path.string());
    }

    Result<void> flush() override {
        for (const char* cache : {"nfsd.fh", "nfsd.export"}) {
            const fs::path file = fs::path("/proc/net/rpc") / cache / "flush";
            const base::FileDescriptor opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
            // What is written is not looked at (write_flush of net/sunrpc/cache.c).
            if (!opened || ::write(opened.get(), "1\n", 2) != 2)
                return fail({"flush", file.string(), errno_text(errno), "run as root"});
        }
        return {};
    }

    Result<std::chrono::seconds> flush_due() override {
        std::chrono::seconds longest{0};
        for (const char* cache : {"nfsd.fh", "nfsd.export"}) {
            const fs::path file = fs::path("/proc/net/rpc") / cache / "flush";
            const Text mark = whole(file);
            if (mark.error == ENOENT) continue;
            if (mark.error != 0) return fail(unreadable(file, mark.error));
            const std::chrono::seconds marked(std::stoll("0" + mark.text));
            const std::chrono::seconds now(std::time(nullptr));
            longest =
                std::max(longest, marked >= now ? marked - now + std::chrono::seconds(1) : std::chrono::seconds(0));
        }
        return longest;
    }

    Result<void> expire(const std::string& id) override {
        const fs::path file = fs::path(clients_directory) / id / "ctl";
        const base::FileDescriptor opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
        if (!opened && errno == ENOENT) return {};
        constexpr std::string_view order = "expire\n";
        if (opened && ::write(opened.get(), order.data(), order.size()) == static_cast<ssize_t>(order.size()))
            return {};
        if (errno == ENXIO) return {};
        return fail({"end what is held by", "the NFS client " + id, errno_text(errno), "run as root"});
    }

    Result<void> free_packets() override { return free_read_packets(); }

    Result<void> stop() override {
        // Who is expired is forgotten by nfsdcld, too: nobody has anything to reclaim, so the next start has no grace.
        auto clients = ids_of_clients();
        if (!clients) return fail(clients.error());
        for (const std::string& id : *clients)
            if (auto ended = expire(id); !ended) return ended;
        return run({"rpc.nfsd", "0"}, "stop", "the NFS server");
    }

    Result<void> start(const std::string& address) override {
        auto seen = server();
        if (!seen) return fail(seen.error());
        const bool there = whole(fs::path(control) / "threads").error == 0;
        if (auto done = mount_if(!there, "nfsd", control); !done) return done;
        const bool pipes = is_pipefs("/run/rpc_pipefs") || is_pipefs("/var/lib/nfs/rpc_pipefs");
        if (auto done = mount_if(!pipes, "rpc_pipefs", "/run/rpc_pipefs"); !done) return done;
        std::error_code error;
        fs::create_directories("/var/lib/nfs/nfsdcld", error);
        if (error) return fail({"make", "/var/lib/nfs/nfsdcld", error.message(), "run as root"});
        const auto [names, by_server] = running();
        if (by_server)
            return fail({"start", "the NFS server", groups_by_server,
                         "set manage-gids=n in the section [mountd] of /etc/nfs.conf and restart rpc.mountd",
                         base::Error::Kind::refused});
        // nfsdcld first: it must be there when the server asks who may reclaim.
        if (!names.contains("nfsdcld"))
            if (auto done = run({"nfsdcld"}, "start", "nfsdcld"); !done) return done;
        if (!names.contains("rpc.mountd")) {
            fs::create_directories(fs::path(settings).parent_path(), error);
            if (auto written = base::replace_file(settings, settings_text, 0644); !written) return written;
            // For NFS 4 it answers the kernel only: it need not be reachable.
            if (auto done = run({"rpc.mountd", "-N", "2", "-N", "3", "-n", "-u"}, "start", "rpc.mountd"); !done)
                return done;
        }
        if (seen->threads > 0) return {};
        return run({"rpc.nfsd", "-H", address, "-N", "3", "-N", "4.0", "-N", "4.1", "-V", "4.2", "-G", grace_time, "-L",
                    lease_time, threads},
                   "start", "the NFS server on " + address);
    }

 private:
    static Result<std::vector<std::string>> ids_of_clients() {
        std::vector<std::string> ids;
        std::error_code error;
        if (!fs::exists(clients_directory, error)) return ids;
        for (fs::directory_iterator it(clients_directory, error), end; !error && it != end; it.increment(error))
            ids.push_back(it->path().filename());
        if (error) return fail({"list", clients_directory, error.message(), "run as root"});
        return ids;
    }
};

}  // namespace

std::unique_ptr<Api> make_system_api() { return std::make_unique<SystemApi>(); }

}  // namespace safe::nfs
