// Exports: what exportfs and the kernel would serve of this safe's volumes, and to whom.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "reconciler/base/exportfs.hpp"
#include "reconciler/verify/nfs.hpp"
#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view export_table = "/var/lib/nfs/etab";
/// The second is the same cache where the nfsd filesystem is not mounted.
constexpr std::array<std::string_view, 3> places{export_table, "/proc/fs/nfsd/exports",
                                                 "/proc/net/rpc/nfsd.export/content"};

struct Wanted {
    std::string path;
    std::string client;
    bool read_only = false;
    std::string vm;
    std::string volume;
    bool operator==(const Wanted&) const = default;
};

std::vector<Wanted> wanted_of(const Scene& scene) {
    std::vector<Wanted> wanted;
    if (!scene.open()) return wanted;
    for (const specs::VmSpec& vm : scene.spec.vms)
        for (const specs::VmMount& mount : vm.mounts) {
            const specs::VolumeSpec* volume = scene.spec.volume(*mount.volume);
            if (volume == nullptr || !vm.address) continue;
            Wanted one{.path = scene.places.mount_point(volume->name).string(),
                       .client = to_text(**vm.address),
                       .read_only = *volume->access == specs::Access::read_only,
                       .vm = vm.name,
                       .volume = volume->name};
            if (std::ranges::find(wanted, one) == wanted.end()) wanted.push_back(std::move(one));
        }
    return wanted;
}

bool same(const Wanted& wanted, const Export& there) {
    return wanted.path == there.path && wanted.client == there.client && wanted.read_only == there.read_only;
}

/// The way to something that this client may have, and no more than the way.
bool leads_to(const Wanted& wanted, const Export& there) {
    return there.pseudo_root && there.read_only && wanted.client == there.client && is_below(wanted.path, there.path);
}

}  // namespace

std::vector<Finding> check_exports(const Scene& scene) {
    Lines lines("exports");
    const std::vector<Wanted> wanted = wanted_of(scene);
    const base::Result<bool> loaded = nfs_server_loaded(scene.system);
    if (!loaded) lines.unknown("/sys/module/nfsd", loaded.error());
    std::size_t read = 0;
    std::size_t count = 0;
    std::vector<Export> declared;
    for (const std::string_view place : places) {
        const Seen<std::string> text = scene.system.read(place);
        if (!text) lines.unknown(std::string(place), text.error());
        if (!text.there()) continue;
        if (place != export_table) ++read;
        const std::vector<Export> exports = parse_exports(text.value());
        count += exports.size();
        if (place == export_table) declared = exports;
        for (const Export& there : exports) {
            if (!is_below(there.path, scene.places.mount_root().string())) continue;
            if (std::ranges::any_of(wanted,
                                    [&](const Wanted& one) { return same(one, there) || leads_to(one, there); }))
                continue;
            lines.fault(std::string(place),
                        fmt::format("{} is exported to {}, {}", there.path, there.client,
                                    there.read_only ? "read-only" : "read-write"),
                        "exportfs -u " + base::exportfs_argument(there.client, there.path));
        }
    }
    if (loaded && *loaded && read == 0)
        lines.unknown(std::string(places[1]), {.attempt = "look at",
                                               .object = std::string(places[1]),
                                               .cause = "the NFS server is loaded, and its table is not there",
                                               .advice = "mount -t nfsd nfsd /proc/fs/nfsd"});
    for (const Wanted& one : wanted) {
        const std::string text = fmt::format("volume {} to {} ({}), {}", one.volume, one.vm, one.client,
                                             one.read_only ? "read-only" : "read-write");
        if (std::ranges::any_of(declared, [&](const Export& there) { return same(one, there); }))
            lines.ok(std::string(export_table), text);
        else
            lines.fault(std::string(export_table), "not exported: " + text, "safectl apply");
    }
    if (lines.clean() && wanted.empty())
        lines.ok(fmt::format("{} and the kernel's table", export_table),
                 fmt::format("{} exports, none of this safe", count));
    return lines.take();
}

}  // namespace safe::verify
