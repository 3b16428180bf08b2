// What a volume was known by when it was first attached, and from then on has to be: a file of root's below the safe's
// state directory, storage/<volume>.json. It is written after a probe and before the kernel sees the unit, so that it
// also tells whose a half-made session is. Nothing in it is secret, and nobody but root may change it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "plugins/iscsi/iscsi_api.hpp"

namespace safe::iscsi {

struct Pinned {
    Address address;  // where it was last attached from
    Identity identity;
    bool operator==(const Pinned&) const = default;
};

class IdentityStore {
 public:
    explicit IdentityStore(const std::filesystem::path& state_dir) : directory_(state_dir / "storage") {}

    [[nodiscard]] std::filesystem::path path(const std::string& volume) const {
        return directory_ / (volume + ".json");
    }
    /// nullopt: never attached. A file that cannot be understood is an error that says how to get past it.
    [[nodiscard]] base::Result<std::optional<Pinned>> load(const std::string& volume) const;
    [[nodiscard]] base::Result<void> save(const std::string& volume, const Pinned& pinned) const;
    /// Of every volume. A file that cannot be understood is left out here, and refused by load() when it is attached; a
    /// directory that cannot be listed is an error.
    [[nodiscard]] base::Result<std::map<std::string, Pinned>> all() const;

 private:
    std::filesystem::path directory_;
};

/// Refuses what is not what was pinned, naming both: another serial or designator, a smaller capacity, another LUKS
/// header or one that is gone. `record`: the file to name.
[[nodiscard]] base::Result<void> compare(const std::string& volume, const Identity& pinned, const Identity& found,
                                         const std::filesystem::path& record);

/// What is pinned after `found` was accepted: capacity only grows, and a LUKS header counts from when it is first seen.
[[nodiscard]] Identity merged(const std::optional<Pinned>& pinned, const Identity& found);

}  // namespace safe::iscsi
