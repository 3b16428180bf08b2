// The seeds of VMs with cloud-init, as files: DISKS/<vm>.seed/<sha256>.iso, named by what is in it and never written
// again, and a record of what was asked for beside it under the same name. A definition names one of them, so that a
// guest that was saved with an older one finds that again; those that no definition names any more go when the VM next
// starts anew. Layout as in layout.hpp. Thread-safe for different VMs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "plugins/libvirt/layout.hpp"
#include "plugins/libvirt/seed.hpp"
#include "reconciler/base/result.hpp"

namespace safe::libvirt {

/// A seed that could be written.
struct ReadySeed {
    std::filesystem::path file;
    std::string image;
    std::string record;
};

class SeedStore {
 public:
    explicit SeedStore(Layout layout) : layout_(std::move(layout)) {}

    /// What lies in the seed that a definition names, in the form of wanted_seed().
    [[nodiscard]] base::Result<model::Branch> look(const std::filesystem::path& file) const;

    /// Makes it in memory. Reads the user-data: an Error when it cannot be, or is too large.
    [[nodiscard]] base::Result<ReadySeed> prepare(const std::string& vm, const model::Branch& seed) const;

    /// How a file at its place is recognised as not ours; nullopt when there is none, or it is one of ours.
    [[nodiscard]] base::Result<std::optional<std::string>> in_the_way(const ReadySeed& seed) const;

    /// Puts it in its place. Idempotent; cut short, the same call finishes it.
    [[nodiscard]] base::Result<void> put(const std::string& vm, const ReadySeed& seed) const;

    /// Removes all seeds of the VM but one; every one when `kept` is empty. Nothing else that lies there is touched.
    [[nodiscard]] base::Result<void> sweep(const std::string& vm, const std::filesystem::path& kept) const;

 private:
    Layout layout_;
};

/// At most 1 MiB of a regular file; an Error for more.
[[nodiscard]] base::Result<std::string> read_user_data(const std::filesystem::path& path);

}  // namespace safe::libvirt
