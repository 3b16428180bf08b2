// Where the parts of a safe meet on the hypervisor, so that plugins which never see each other agree: functions of the
// safe's name and three directories, and of nothing else but links on the way to mounts, which are followed once, when
// it is made (docs/decisions/0089). For safe atlas with the usual directories:
//
//   /run/safe/atlas/devices/<volume>       a link to the attached device; made by whoever attaches it (session)
//   /dev/mapper/safe-atlas-<volume>        the opened volume (mapping)
//   /srv/safe/atlas/<volume>               where it is mounted (mount), and exported under the same path (export)
//   <vault>/keys/<volume>.key              the random key of another volume; 0600
//   <vault>/memory/<vm>.save               saved memory of a VM
//   <vault or disks volume>/disks/         disks of workspace VMs
//   /var/lib/safe/atlas/headers/<volume>/  records and backups of LUKS headers; root only
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "specs/spec.hpp"

namespace safe::driver {

class Places {
 public:
    /// `state_dir` is the safe's own (…/atlas) and lasts; the other roots are where such things usually are, and are
    /// other ones only in tests.
    Places(std::string safe, std::filesystem::path state_dir, std::filesystem::path run_dir = "/run/safe",
           const std::filesystem::path& mount_dir = "/srv/safe");

    [[nodiscard]] const std::string& safe() const { return safe_; }
    [[nodiscard]] const std::filesystem::path& state_dir() const { return state_dir_; }
    /// Emptied by a reboot; readable by anyone.
    [[nodiscard]] std::filesystem::path run_dir() const { return run_dir_ / safe_; }

    /// What holds the volume's LUKS header: the file or device of the spec itself, or the link that its session makes.
    [[nodiscard]] std::filesystem::path device(const specs::VolumeSpec& volume) const;
    [[nodiscard]] std::filesystem::path device_link(std::string_view volume) const;
    [[nodiscard]] std::string mapping_name(std::string_view volume) const;  // "safe-atlas-vault"
    [[nodiscard]] std::filesystem::path mapped(std::string_view volume) const;
    /// Without links.
    [[nodiscard]] const std::filesystem::path& mount_root() const { return mount_root_; }
    [[nodiscard]] std::filesystem::path mount_point(std::string_view volume) const;
    /// The LUKS subsystem that marks a container as ours: "safe:atlas/vault".
    [[nodiscard]] std::string subsystem(std::string_view volume) const;

    // --- below a mounted volume
    [[nodiscard]] std::filesystem::path volume_key(std::string_view vault, std::string_view volume) const;
    [[nodiscard]] std::filesystem::path saved_memory(std::string_view vault, std::string_view vm) const;
    /// Where disks of workspace VMs lie: on the volume of role disks, else in the vault; empty without either.
    [[nodiscard]] std::filesystem::path workspace_disks(const specs::SafeSpec& spec) const;
    /// The volume that holds them; nullptr without one.
    [[nodiscard]] static const specs::VolumeSpec* disks_volume(const specs::SafeSpec& spec);
    /// Whether it stays open in every mode: guests that are paused in RAM keep their disks open on it.
    [[nodiscard]] static bool stays_open(const specs::SafeSpec& spec, const specs::VolumeSpec& volume);

    [[nodiscard]] std::filesystem::path headers(std::string_view volume) const;

 private:
    std::string safe_;
    std::filesystem::path state_dir_;
    std::filesystem::path run_dir_;
    std::filesystem::path mount_root_;
};

}  // namespace safe::driver
