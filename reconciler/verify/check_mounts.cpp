// Mounts: a volume of this safe mounted anywhere, in any mount namespace, or anything mounted where its volumes belong.
#include <fmt/format.h>

#include <algorithm>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

std::string whose(const MountNamespace& space) {
    if (space.ours) return "";
    if (space.members.empty()) return ", in a mount namespace without processes";
    return ", in the mount namespace of " + to_text(space.members);
}

class MountJudge {
 public:
    MountJudge(const Scene& scene, Lines& lines) : scene_(scene), lines_(lines) {}

    void judge(const MountNamespace& space) {
        for (const Mount& mount : space.mounts) {
            const Volume* volume = volume_of(mount);
            const std::string root = scene_.places.mount_root().string();
            const bool in_our_place = is_below(mount.point, root) && !mount.binds_on_itself(root);
            if (volume == nullptr && !in_our_place && !served_from_us(mount)) continue;
            if (volume != nullptr && volume->wanted && as_declared(mount, *volume)) {
                if (space.ours) mounted_.push_back(volume->name);
                continue;
            }
            if (scene_.open() && volume != nullptr && volume->spec == nullptr) continue;
            lines_.fault(space.looked_at,
                         fmt::format("{} ({} from {}) is mounted on {}{}",
                                     volume != nullptr ? "volume " + volume->name : mount.source, mount.type,
                                     mount.source, mount.point, whose(space)),
                         space.ours ? "umount " + mount.point : "end what lives in that namespace");
        }
    }

    [[nodiscard]] bool mounted(const Volume& volume) const {
        return std::ranges::find(mounted_, volume.name) != mounted_.end();
    }

 private:
    [[nodiscard]] const Volume* volume_of(const Mount& mount) const {
        const BlockDevice* device = scene_.devices->numbered(mount.device);
        if (device == nullptr) return nullptr;
        const Volume* volume = scene_.estate->opened_as(device->name);
        return volume != nullptr ? volume : scene_.estate->carried_by(device->name);
    }

    /// An NFS mount of our own export, or layers (overlayfs) on a mount of ours.
    [[nodiscard]] bool served_from_us(const Mount& mount) const {
        const std::string root = scene_.places.mount_root().string();
        for (const std::string_view option : parts_of(mount.options, ',')) {
            const std::string_view value = option.substr(option.find('=') + 1);
            for (const std::string_view path : parts_of(value, ':'))
                if (is_below(path, root)) return true;
        }
        const std::size_t path = mount.source.find(":/");
        return path != std::string::npos && is_below(std::string_view(mount.source).substr(path + 1), root);
    }

    /// Copies in other namespaces, made by propagation, are the same mount at the same place.
    [[nodiscard]] bool as_declared(const Mount& mount, const Volume& volume) const {
        const bool access = mount.read_only() == (*volume.spec->access == specs::Access::read_only);
        return mount.point == scene_.places.mount_point(volume.name).string() && mount.root == "/" && access;
    }

    const Scene& scene_;
    Lines& lines_;
    std::vector<std::string> mounted_;
};

}  // namespace

std::vector<Finding> check_mounts(const Scene& scene) {
    Lines lines("mounts");
    const std::string everywhere = "/proc/*/task/*/mountinfo";
    if (!scene.mounts || !scene.estate) {
        lines.unknown(everywhere, scene.mounts ? scene.estate.error() : scene.mounts.error());
        return lines.take();
    }
    for (const base::Error& error : scene.mounts->unseen) lines.unknown(everywhere, error);
    MountJudge judge(scene, lines);
    std::size_t count = 0;
    for (const MountNamespace& space : scene.mounts->namespaces) {
        judge.judge(space);
        count += space.mounts.size();
    }
    for (const Volume& volume : scene.estate->volumes) {
        if (!volume.wanted) continue;
        const std::string point = scene.places.mount_point(volume.name).string();
        if (judge.mounted(volume))
            lines.ok("/proc/self/mountinfo", fmt::format("volume {} is mounted on {}", volume.name, point));
        else
            lines.fault(
                "/proc/self/mountinfo",
                fmt::format("volume {} is not mounted on {}, {}", volume.name, point, to_text(*volume.spec->access)),
                "safectl apply");
    }
    if (lines.clean())
        lines.ok(everywhere, fmt::format("{} mounts in {} namespaces, {}", count, scene.mounts->namespaces.size(),
                                         scene.open() ? "nothing of this safe where it does not belong"
                                                      : "nothing else of this safe"));
    return lines.take();
}

}  // namespace safe::verify
