// NFS clients: state that the server keeps for guests that are asleep, and files of our volumes that anybody has open.
#include <fmt/format.h>

#include <algorithm>

#include "reconciler/verify/nfs.hpp"
#include "reconciler/verify/scene.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view clients = "/proc/fs/nfsd/clients";

const specs::VmSpec* vm_at(const specs::SafeSpec& spec, std::string_view address) {
    const auto found = std::ranges::find_if(
        spec.vms, [&](const specs::VmSpec& vm) { return vm.address && to_text(**vm.address) == address; });
    return found == spec.vms.end() ? nullptr : &*found;
}

/// The volume that it has files of; nullptr for none.
const Volume* volume_of(const Scene& scene, const NfsClient& client) {
    for (const DeviceNumber number : client.filesystems) {
        const BlockDevice* device = scene.devices->numbered(number);
        const Volume* volume = device == nullptr ? nullptr : scene.estate->opened_as(device->name);
        if (volume != nullptr) return volume;
    }
    return nullptr;
}

void judge(const Scene& scene, const NfsClient& client, Lines& lines) {
    const std::string where = fmt::format("{}/{}", clients, client.id);
    const std::string expire = fmt::format("echo expire > {}/ctl", where);
    const specs::VmSpec* vm = vm_at(scene.spec, client.address);
    const Volume* volume = volume_of(scene, client);
    const std::string who = vm == nullptr ? client.address : fmt::format("{} ({})", vm->name, client.address);
    if (scene.open()) {
        if (volume != nullptr && (vm == nullptr || vm->mounts.empty()))
            lines.fault(where, fmt::format("{} has files of volume {} open", who, volume->name), expire);
        return;
    }
    if (volume != nullptr)
        lines.fault(where, fmt::format("the server keeps files of volume {} open for {}", volume->name, who), expire);
    else if (vm != nullptr && *vm->role == specs::Role::workspace)
        lines.fault(where, fmt::format("the server still knows {} as a client", who), expire);
}

base::Result<std::string> text_of(const System& system, const std::filesystem::path& path) {
    const Seen<std::string> text = system.read(path);
    if (!text) return base::fail(text.error());
    return text.value_or("");
}

}  // namespace

std::vector<Finding> check_nfs_clients(const Scene& scene) {
    Lines lines("NFS clients");
    const std::filesystem::path folder(clients);
    const base::Result<bool> loaded = nfs_server_loaded(scene.system);
    if (!loaded || !scene.estate) {
        lines.unknown(folder.string(), loaded ? scene.estate.error() : loaded.error());
        return lines.take();
    }
    const Seen<std::vector<std::string>> ids = scene.system.list(folder);
    if (!ids) {
        lines.unknown(folder.string(), ids.error());
        return lines.take();
    }
    if (!ids.there() && *loaded)
        lines.unknown(folder.string(), {.attempt = "look at",
                                        .object = folder.string(),
                                        .cause = "the NFS server is loaded, and its clients are not to be seen",
                                        .advice = "mount -t nfsd nfsd /proc/fs/nfsd"});
    const std::vector<std::string> names = ids.value_or(std::vector<std::string>());
    for (const std::string& id : names) {
        const base::Result<std::string> info = text_of(scene.system, folder / id / "info");
        const base::Result<std::string> states = text_of(scene.system, folder / id / "states");
        if (info && states)
            judge(scene, parse_client(id, *info, *states), lines);
        else
            lines.unknown((folder / id).string(), info ? states.error() : info.error());
    }
    if (lines.clean())
        lines.ok(folder.string(), *loaded
                                      ? fmt::format("{} clients, {}", names.size(),
                                                    scene.open() ? "each as declared" : "none of this safe's volumes")
                                      : "no NFS server is loaded");
    return lines.take();
}

}  // namespace safe::verify
