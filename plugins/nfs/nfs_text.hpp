// What the NFS server and nfs-utils write for people and programs, read into nfs_api.hpp's terms. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/nfs/nfs_api.hpp"

namespace safe::nfs {

/// /var/lib/nfs/etab and /proc/fs/nfsd/exports: "PATH<tab>CLIENT(OPTION,…)" with octal escapes in the path; lines that
/// begin with '#' say nothing. Fails on anything else, for a line not understood may be an export.
[[nodiscard]] base::Result<std::vector<Export>> parse_exports(std::string_view text, const std::string& file);

/// /proc/net/rpc/nfsd.fh/content: the paths that the kernel keeps for file handles, each with the client they are for.
/// Lines that begin with '#' are answers that are no longer valid, or not yet; lines without a path are refusals.
[[nodiscard]] std::vector<Export> parse_handles(std::string_view text);

/// /proc/fs/nfsd/versions: "-2 +3 +4 -4.0 +4.1 +4.2". "+4" alone is no version of its own when minor ones are listed.
[[nodiscard]] std::set<std::string> parse_versions(std::string_view text);

/// Addresses at which root listens on TCP port 2049, of /proc/net/tcp (or tcp6).
[[nodiscard]] std::set<std::string> parse_listeners(std::string_view text);

/// The address in /proc/fs/nfsd/clients/*/info, without its port; empty when there is none.
[[nodiscard]] std::string parse_client_address(std::string_view info);
/// Whether /proc/fs/nfsd/clients/*/states tells of anything on that device.
[[nodiscard]] bool holds_state_on(std::string_view states, dev_t device);

}  // namespace safe::nfs
