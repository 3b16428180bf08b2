// What belongs into a mounted volume by its role, and how the volume's own root is kept. Looks and makes with no link
// followed: the content of a data volume is written by guests. Keeps nothing; thread-safe.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "reconciler/base/result.hpp"
#include "reconciler/model/attributes.hpp"
#include "specs/spec.hpp"

namespace safe::filesystem {

struct Directory {
    std::string name;  // "." is the root of the volume
    mode_t mode = 0;   // owner and group are root
};

/// Of the vault: `keys` and `memory` for root alone, `disks` passable, because QEMU opens them under its own user; so
/// the root is passable too. Of a volume of role disks: `disks`. Of a data volume nothing: it belongs to the members.
[[nodiscard]] std::vector<Directory> directories_of(specs::VolumeRole role);

/// "0:0 0711" by name; "missing", or what else is there; never an error.
[[nodiscard]] model::Branch wanted_directories(const std::vector<Directory>& directories);
[[nodiscard]] model::Branch look_at_directories(const std::filesystem::path& root,
                                                const std::vector<Directory>& directories);
/// Idempotent. Refuses a name that is no directory.
[[nodiscard]] base::Result<void> make_directories(const std::filesystem::path& root,
                                                  const std::vector<Directory>& directories);

/// Lets every member make files in the root of a data volume, as in /tmp: only while it is as mkfs leaves it.
[[nodiscard]] base::Result<void> hand_to_members(const std::filesystem::path& root);

/// A directory of the hypervisor's own that volumes are mounted on or below: made with its parents, 0711 and root's.
[[nodiscard]] base::Result<void> make_place(const std::filesystem::path& directory);

}  // namespace safe::filesystem
