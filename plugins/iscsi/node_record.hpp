// Node records: the files by which open-iscsi logs in (iscsiadm(8)), one for each target, portal and interface:
//
//   /etc/iscsi/nodes/<target>/<address>,<port>,<group>/safe-atlas
//
// We write them ourselves, because iscsiadm would want the CHAP secret in its arguments: mode 0600, whole or not at
// all. The interface name is our mark: the kernel keeps it on the session (sysfs: ifacename), and only records of this
// name are ever touched. A comment in the record names the volume it was written for. For one writer at a time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "plugins/iscsi/iscsi_api.hpp"

namespace safe::iscsi {

/// The content. Refuses what would not survive the format or would add a line to it (line breaks, blanks, control
/// characters), in the secret, too, and never repeats the secret.
[[nodiscard]] base::Result<base::Secret> record_text(const Login& login, const std::string& mark);

/// `nodes`: /etc/iscsi/nodes. Idempotent.
[[nodiscard]] base::Result<void> write_record(const std::filesystem::path& nodes, const Login& login,
                                              const std::string& mark);

/// Those of our mark that were written here, in order. A missing directory holds none.
[[nodiscard]] base::Result<std::vector<SeenRecord>> list_records(const std::filesystem::path& nodes,
                                                                 const std::string& mark);

/// Removes ours, whatever group it was made for, and the directories that it leaves empty. Idempotent.
[[nodiscard]] base::Result<void> remove_record(const std::filesystem::path& nodes, const Endpoint& endpoint,
                                               const std::string& mark);

/// The interface of our name, without which iscsiadm logs in by no record of that name. It is there for the login
/// alone, because a discovery of somebody else's makes records for every interface that it finds. `configuration`:
/// /etc/iscsi.
[[nodiscard]] base::Result<void> write_interface(const std::filesystem::path& configuration, const std::string& mark);
[[nodiscard]] base::Result<void> remove_interface(const std::filesystem::path& configuration, const std::string& mark);

}  // namespace safe::iscsi
