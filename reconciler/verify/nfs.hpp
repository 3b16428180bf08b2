// What the NFS server serves and to whom, from its own tables. Pure parsers; values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/result.hpp"
#include "reconciler/verify/system.hpp"

namespace safe::verify {

struct Export {
    std::string path;
    std::string client;
    bool read_only = false;
    bool pseudo_root = false;  // made by rpc.mountd: NFSv4's way to an export below it; shows names of directories only
};

/// Lines "path client(options) client(options)": etab of nfs-utils and the kernel's export cache. Lines that begin with
/// "#" are comments, or entries that are no longer valid.
[[nodiscard]] std::vector<Export> parse_exports(std::string_view text);

/// What a client of NFSv4 says of itself and holds, from /proc/fs/nfsd/clients.
struct NfsClient {
    std::string id;
    std::string address;                    // without its port
    std::vector<DeviceNumber> filesystems;  // on which it has files open
};

[[nodiscard]] NfsClient parse_client(std::string id, std::string_view info, std::string_view states);

/// Whether the kernel has an NFS server loaded at all.
[[nodiscard]] base::Result<bool> nfs_server_loaded(const System& system);

}  // namespace safe::verify
