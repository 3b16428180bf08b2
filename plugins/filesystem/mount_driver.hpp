// The driver itself; filesystem_driver.hpp hands it out. See there.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/filesystem/directories.hpp"
#include "plugins/filesystem/filesystem_api.hpp"
#include "plugins/filesystem/provisioning.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::filesystem {

// Keys of attributes.
inline constexpr std::string_view type_key = "filesystem";
inline constexpr std::string_view access_key = "access";
inline constexpr std::string_view device_key = "device";
inline constexpr std::string_view options_key = "options";
inline constexpr std::string_view directories_key = "directories";
inline constexpr std::string_view provisioned_key = "provisioned";
inline constexpr std::string_view state_key = "state";  // only when there is something to say
inline constexpr std::string_view elsewhere_key = "only-in-other-namespaces";

[[nodiscard]] std::string text_of(const MountEntry& entry);  // "tmpfs of type tmpfs"
/// Those inside of what is mounted at `target`.
[[nodiscard]] std::vector<MountEntry> mounts_below(const std::vector<MountEntry>& entries,
                                                   const std::filesystem::path& target);

class MountDriver final : public driver::Driver {
 public:
    MountDriver(const driver::Setting& setting, std::shared_ptr<Api> api);

    [[nodiscard]] std::span<const model::Kind> kinds() const override;
    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode mode) const override;
    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& context) override;
    [[nodiscard]] model::Assessment classify(model::Action action, const model::Resource& resource,
                                             const model::Observation& observed,
                                             std::span<const model::Change> changes) const override;
    [[nodiscard]] model::Presence orphan(const model::ResourceId& id, const model::Present& observed,
                                         model::Mode mode) const override;
    [[nodiscard]] base::Result<void> apply(const model::Step& step, const model::Resource& resource,
                                           const model::Observation& observed, const driver::Context& context) override;

 private:
    /// One volume's place among the mounts.
    struct Seen {
        const MountEntry* entry = nullptr;            // ours, or else what is on top of its mount point
        std::optional<dev_t> mapping = std::nullopt;  // the device that belongs there
        bool ours = false;
    };

    [[nodiscard]] model::Attributes wanted(const specs::VolumeSpec& volume) const;
    [[nodiscard]] std::vector<Directory> directories(const std::string& volume) const;

    /// An Error while the device is suspended: nothing may be asked of the file system then, nor may it be unmounted.
    /// And while others' mounts hide ours, or it is mounted in another place alone: it is out of our reach, not gone.
    base::Result<Seen> look(const std::string& volume, const std::vector<MountEntry>& entries);
    model::Observation observation(const std::string& volume, const std::vector<MountEntry>& entries);
    model::Observation mounted(const std::string& volume, const Seen& seen);
    model::Observation not_mounted(const std::string& volume, const Seen& seen);
    void add_orphans(const std::vector<MountEntry>& entries, model::Snapshot& snapshot);
    void warn_of_little_space(model::Snapshot& snapshot);

    base::Result<void> mount(const std::string& volume, const model::Attributes& wanted);
    base::Result<void> put_on(const Volume& volume);
    base::Result<void> finish(const std::string& volume);
    base::Result<void> unmount(const std::string& volume, const driver::Context& context);
    base::Result<void> nothing_below(const std::filesystem::path& target);
    base::Result<void> take_off(const std::string& volume, dev_t device, const driver::Context& context);

    driver::Places places_;
    std::map<std::string, specs::VolumeRole> roles_;
    std::shared_ptr<Api> api_;
};

}  // namespace safe::filesystem
