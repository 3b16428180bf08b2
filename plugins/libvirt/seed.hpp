// What cloud-init is told in a VM: the seed of its data source NoCloud, as attributes and as files. The operator's
// user-data is handed over as it is; what the safe itself needs of a guest is the vendor-data (guest_part.py), which is
// the same for every VM and reads what concerns it in the meta-data under `safe`. So no text of a spec is ever part of
// a program. Pure. https://docs.cloud-init.io/en/22.4.2/topics/datasources/nocloud.html
//
// The attributes of a seed: client (the VM's UUID), hostname, mounts (by path: source, read-only), super-users (their
// public keys), user-data (the file, when there is one) and version (whether the seed has it as it is now), and
// guest-part (a digest of the vendor-data).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/libvirt/layout.hpp"
#include "reconciler/model/attributes.hpp"
#include "specs/spec.hpp"

namespace safe::libvirt {

// What `version` says.
inline constexpr std::string_view as_its_source = "as its source";
inline constexpr std::string_view older_than_source = "older than its source";
inline constexpr std::string_view damaged_seed = "damaged: somebody wrote to it";
inline constexpr std::string_view seed_is_gone = "its file is gone";
inline constexpr std::string_view seed_is_elsewhere = "where the disk no longer is";

/// Of a VM with cloud-init.
[[nodiscard]] model::Branch wanted_seed(const specs::SafeSpec& spec, const specs::VmSpec& vm, const Layout& layout);

/// The files of the seed by name. `user_data` is the content of that file; nullopt when there is none. cloud-init sees
/// another instance, and does once more what it does once, when that content is another.
[[nodiscard]] std::map<std::string, std::string> seed_files(const model::Branch& seed,
                                                            const std::optional<std::string>& user_data);

/// What of a seed is kept beside it, as JSON and back; nullopt for any other text.
struct SeedRecord {
    model::Branch seed;            // without `version`
    std::string user_data_sha256;  // empty without user-data
};
[[nodiscard]] std::string record_text(const SeedRecord& record);
[[nodiscard]] std::optional<SeedRecord> parse_seed_record(std::string_view text);

/// Whether cloud-init knows what to do with it by how it begins (its documentation calls these the formats of user
/// data). It passes over anything else with a line in its log.
[[nodiscard]] bool is_known_user_data(std::string_view content);

}  // namespace safe::libvirt
