// Mappings: whatever device-mapper, or anything else that builds one device on another, has made of this safe's
// volumes. By the name, by the UUID of the header, and by what lies under it, so that another name hides nothing.
#include <fmt/format.h>

#include "reconciler/verify/scene.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view all_devices = "/sys/block/*/{dm/name,dm/uuid,slaves}";

std::string where(const BlockDevice& device) { return "/sys/block/" + device.name; }

std::string describe(const BlockDevice& device, const Volume& volume) {
    const std::string name = device.mapping.empty() ? device.name : device.mapping + " (" + device.name + ")";
    return fmt::format("{} is built on volume {}", name, volume.name);
}

std::string way_out(const BlockDevice& device) {
    return device.mapping.empty() ? "stop the device " + device.name : "cryptsetup close " + device.mapping;
}

void judge_wanted(const Scene& scene, const Volume& volume, Lines& lines) {
    bool there = false;
    for (const std::string& name : volume.opened) {
        const BlockDevice& device = *scene.devices->named(name);
        if (device.mapping != scene.places.mapping_name(volume.name)) {
            lines.fault(where(device), describe(device, volume) + ", and nobody declared it", way_out(device));
            continue;
        }
        there = true;
        if (device.suspended)
            lines.fault(where(device), device.mapping + " is suspended: nothing reads or writes",
                        "dmsetup resume " + device.mapping);
        else if (!device.mapping_uuid.starts_with("CRYPT-"))
            lines.fault(where(device), device.mapping + " is no encrypted mapping",
                        "close the safe and look who made it");
        else
            lines.ok(where(device), fmt::format("volume {} is opened as {}", volume.name, device.mapping));
    }
    if (!there)
        lines.fault(std::string(all_devices), fmt::format("volume {} is not opened", volume.name), "safectl apply");
}

}  // namespace

std::vector<Finding> check_mappings(const Scene& scene) {
    Lines lines("mappings");
    if (!scene.estate) {
        lines.unknown(std::string(all_devices), scene.estate.error());
        return lines.take();
    }
    for (const base::Error& error : scene.estate->unseen) lines.unknown(error.object, error);
    std::size_t kept = 0;
    for (const Volume& volume : scene.estate->volumes) {
        if (volume.wanted) {
            judge_wanted(scene, volume, lines);
            ++kept;
            continue;
        }
        // What left the file is neither asked for nor forbidden while the safe is open.
        if (scene.open()) continue;
        for (const std::string& name : volume.opened) {
            const BlockDevice& device = *scene.devices->named(name);
            lines.fault(where(device), describe(device, volume) + ": its key is in memory", way_out(device));
        }
    }
    if (lines.clean() && !scene.open())
        lines.ok(std::string(all_devices),
                 fmt::format("{} block devices, none built on {} volumes of this safe", scene.devices->all().size(),
                             scene.estate->volumes.size() - kept));
    return lines.take();
}

}  // namespace safe::verify
