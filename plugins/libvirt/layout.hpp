// Where things of a safe are on the hypervisor and what they are called there: pure functions of the safe's name and
// its state directory. The directory looks like this; QEMU, which runs as its own user, passes through but cannot list:
//
//   images/<id, percent-encoded>/<sha256>      an imported image, never written again
//   images/<id>/current -> <sha256>            what new disks and direct kernel boots use
//   images/<id>/record.json                    where it came from
//   disks/<vm>.qcow2                           an overlay
//   disks/<vm>.base -> ../images/<id>/<sha256> the image it was made on
//   disks/<vm>.json                            what was asked for
//   disks/<vm>.seed/<sha256>.iso, .json        what cloud-init is told (seed_store.hpp)
//   logs/<vm>.log                              what the guest says on its console
//
// What belongs to workspace VMs lies on the safe's volumes where the spec has some (Keep): their disks, under the same
// names as above, and their saved memory (saved_memory.hpp).
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "reconciler/base/result.hpp"
#include "reconciler/model/resource_id.hpp"
#include "specs/values.hpp"

namespace safe::libvirt {

/// Where what workspace VMs have is kept. Without volumes everything is empty: disks are in clear in the state
/// directory, and nothing can be saved.
struct Keep {
    std::string vault = {};  // the volume's name
    std::filesystem::path vault_mount = {};
    std::filesystem::path memory = {};  // saved memory, below vault_mount
    std::string disks_volume = {};
    std::filesystem::path disks_mount = {};
    std::filesystem::path disks = {};        // below disks_mount
    bool disks_stay = false;                 // open in every mode, under guests that are paused
    std::set<std::string> workspaces = {};   // the declared VMs of that role
    std::uint64_t memory_of_workspaces = 0;  // what saving all of them takes at most, in bytes
    std::filesystem::path mounts = {};       // below which volumes are mounted, and exported under the same path
    std::map<std::string, std::string> cloud_init = {};  // the declared VMs that have it, and where the spec says so
};

class Layout {
 public:
    Layout(std::string safe, std::filesystem::path state_dir, Keep keep = {})
        : safe_(std::move(safe)), state_dir_(std::move(state_dir)), keep_(std::move(keep)) {}

    [[nodiscard]] const std::string& safe() const { return safe_; }
    [[nodiscard]] const std::filesystem::path& state_dir() const { return state_dir_; }
    [[nodiscard]] const Keep& keep() const { return keep_; }

    [[nodiscard]] std::string network_name() const { return "safe-" + safe_; }
    [[nodiscard]] std::string domain_name(std::string_view vm) const { return safe_ + "-" + std::string(vm); }

    [[nodiscard]] std::filesystem::path images() const { return state_dir_ / "images"; }
    [[nodiscard]] std::filesystem::path image(const model::ResourceId& id) const;
    [[nodiscard]] std::filesystem::path current(const model::ResourceId& id) const { return image(id) / "current"; }
    [[nodiscard]] std::filesystem::path record(const model::ResourceId& id) const { return image(id) / "record.json"; }

    /// In clear, on the hypervisor.
    [[nodiscard]] std::filesystem::path disks() const { return state_dir_ / "disks"; }
    /// Whether the disk of this (declared) VM lies on a volume.
    [[nodiscard]] bool on_volume(const std::string& vm) const {
        return !keep_.disks.empty() && keep_.workspaces.contains(vm);
    }
    [[nodiscard]] std::filesystem::path disks_of(const std::string& vm) const {
        return on_volume(vm) ? keep_.disks : disks();
    }
    /// Whether `path` is a disk of this VM, wherever we put one.
    [[nodiscard]] bool is_disk_of(std::string_view vm, const std::filesystem::path& path) const {
        const std::string name = std::string(vm) + ".qcow2";
        return path == disks() / name || (!keep_.disks.empty() && path == keep_.disks / name);
    }
    [[nodiscard]] std::filesystem::path disk(std::string_view vm) const { return disk_file(vm, ".qcow2"); }
    [[nodiscard]] std::filesystem::path base(std::string_view vm) const { return disk_file(vm, ".base"); }
    [[nodiscard]] std::filesystem::path disk_record(std::string_view vm) const { return disk_file(vm, ".json"); }

    /// Seeds lie where the disk does: user data may be as confidential.
    [[nodiscard]] std::filesystem::path seeds(std::string_view vm) const { return disk_file(vm, ".seed"); }
    /// Both places where there may be some.
    [[nodiscard]] std::array<std::filesystem::path, 2> places_of_seeds(std::string_view vm) const {
        const std::string name = std::string(vm) + ".seed";
        return {disks() / name, keep_.disks.empty() ? disks() / name : keep_.disks / name};
    }
    [[nodiscard]] bool is_seed_of(std::string_view vm, const std::filesystem::path& path) const {
        const auto places = places_of_seeds(vm);
        return path.extension() == ".iso" && (path.parent_path() == places[0] || path.parent_path() == places[1]);
    }
    [[nodiscard]] bool has_cloud_init(const std::string& vm) const { return keep_.cloud_init.contains(vm); }
    /// Under which path guests find a volume.
    [[nodiscard]] std::filesystem::path exported(std::string_view volume) const { return keep_.mounts / volume; }

    [[nodiscard]] std::filesystem::path log(std::string_view vm) const {
        return state_dir_ / "logs" / (std::string(vm) + ".log");
    }

    /// The inverse of current(): which image a path in a definition is. nullopt for any other path.
    [[nodiscard]] std::optional<model::ResourceId> image_of(const std::filesystem::path& path) const;

 private:
    [[nodiscard]] std::filesystem::path disk_file(std::string_view vm, std::string_view extension) const {
        return disks_of(std::string(vm)) / (std::string(vm) + std::string(extension));
    }

    std::string safe_;
    std::filesystem::path state_dir_;
    Keep keep_;
};

/// image/<path as written>; two files of one spec can only share it when one path is absolute.
[[nodiscard]] model::ResourceId image_id(const specs::FilePath& path);

/// An image's path as one file name, and back; nullopt for a name that no image has.
[[nodiscard]] std::string encode_path(std::string_view path);
[[nodiscard]] std::optional<std::string> decode_path(std::string_view name);

/// Makes `directory` and those above it that are missing, and lets every user pass through (never list) the safe's own
/// part of the way, from state_dir down.
[[nodiscard]] base::Result<void> make_passable(const std::filesystem::path& directory,
                                               const std::filesystem::path& state_dir);

}  // namespace safe::libvirt
