// Loop devices: files of this safe's volumes made into devices, and files on its mounted volumes.
#include <fmt/format.h>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {

std::vector<Finding> check_loops(const Scene& scene) {
    Lines lines("loop devices");
    const std::string everywhere = "/sys/block/loop*/loop/backing_file";
    if (!scene.estate) {
        lines.unknown(everywhere, scene.estate.error());
        return lines.take();
    }
    std::size_t count = 0;
    for (const BlockDevice& device : scene.devices->all()) {
        if (device.backing_file.empty()) continue;
        ++count;
        const Volume* volume = scene.estate->carried_by(device.name);
        const bool on_ours = is_below(device.backing_file, scene.places.mount_root().string());
        const bool expected = scene.open() || (volume != nullptr && volume->wanted);
        if ((volume == nullptr && !on_ours) || expected) continue;
        lines.fault(fmt::format("/sys/block/{}/loop/backing_file", device.name),
                    fmt::format("{} is {}: {}", device.name,
                                on_ours ? "a file on a volume of this safe" : "the file of volume " + volume->name,
                                device.backing_file),
                    "losetup -d /dev/" + device.name);
    }
    if (lines.clean())
        lines.ok(everywhere, scene.open()
                                 ? fmt::format("{} loop devices in use", count)
                                 : fmt::format("{} loop devices in use, none of this safe's closed volumes", count));
    return lines.take();
}

}  // namespace safe::verify
