// What the export driver needs of the kernel's NFS server and of nfs-utils. Two tables say what is exported: etab, from
// which rpc.mountd answers the kernel, and the kernel's own, which is a cache of those answers. Errors say what to do.
// Implementations are called from several threads at once and keep no state.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconciler/base/result.hpp"

namespace safe::nfs {

/// One path to one client.
struct Export {
    std::filesystem::path path;
    std::string client;  // as it was written: an address, a name, a network, "*"
    std::set<std::string> options = {};
    auto operator<=>(const Export&) const = default;
};

struct Tables {
    std::vector<Export> granted;  // etab
    std::vector<Export> cached;   // the kernel's, of exports and of file handles
};

struct Server {
    unsigned threads = 0;                  // 0: it does not run
    std::set<std::string> versions = {};   // those it serves: "3", "4.0", "4.2"
    std::set<std::string> listeners = {};  // "10.77.0.1:2049", "0.0.0.0:2049", "[::]:2049"
    std::set<std::string> missing = {};    // of what must run beside it: "rpc.mountd", "nfsdcld"
    std::set<std::string> faults = {};     // how what runs beside it differs from what is needed
};

/// A client that holds open files, locks, delegations or layouts on a device.
struct Holder {
    std::string id;       // in /proc/fs/nfsd/clients
    std::string address;  // without its port
};

class Api {
 public:
    Api() = default;
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;
    Api(Api&&) = delete;
    Api& operator=(Api&&) = delete;
    virtual ~Api() = default;

    [[nodiscard]] virtual base::Result<Tables> tables() = 0;
    [[nodiscard]] virtual base::Result<Server> server() = 0;
    /// The device of the file system that is mounted at that very path; nullopt: none is.
    [[nodiscard]] virtual base::Result<std::optional<dev_t>> mounted(const std::filesystem::path& path) = 0;
    [[nodiscard]] virtual base::Result<std::vector<Holder>> holders(dev_t device) = 0;

    /// Adds the path to etab for these clients, or replaces the options there; the kernel's answers are thrown away.
    [[nodiscard]] virtual base::Result<void> grant(const std::filesystem::path& path,
                                                   const std::vector<std::string>& clients,
                                                   const std::string& options) = 0;
    /// Takes these out of etab, where they must be; the kernel's answers are thrown away.
    [[nodiscard]] virtual base::Result<void> withdraw(const std::vector<Export>& exports) = 0;
    /// Throws the kernel's answers away, so that it asks again, and the files that it keeps open for later.
    [[nodiscard]] virtual base::Result<void> flush() = 0;
    /// How long to wait until answers that are thrown away really go. The kernel marks them by the second, and when
    /// they are thrown away more often than that, its mark runs ahead of its clock; until the clock has caught up, they
    /// are not used, but are kept, and the volume with them.
    [[nodiscard]] virtual base::Result<std::chrono::seconds> flush_due() = 0;
    /// Ends all that a client holds, as if its lease had run out; at once. A client that is gone already is no error.
    [[nodiscard]] virtual base::Result<void> expire(const std::string& id) = 0;

    /// Starts what of the server does not run yet: NFS 4.2 alone, on that address alone. Idempotent.
    [[nodiscard]] virtual base::Result<void> start(const std::string& address) = 0;
    /// Has packets freed that the server has read: see read_packets.hpp.
    [[nodiscard]] virtual base::Result<void> free_packets() = 0;
    /// Ends the server's threads and all that clients hold; what runs beside them goes on. Idempotent.
    [[nodiscard]] virtual base::Result<void> stop() = 0;
};

[[nodiscard]] std::unique_ptr<Api> make_system_api();

}  // namespace safe::nfs
