// Swap: memory of guests and programs written to disk. Harmless only where the disk below is encrypted.
#include <fmt/format.h>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view swaps = "/proc/swaps";

/// The device that swap on `path` ends on: the device itself, or the one a swap file lies on.
base::Result<const BlockDevice*> device_below(const System& system, const BlockDevices& devices,
                                              const std::string& path) {
    const Seen<FileFacts> facts = system.status(path);
    if (!facts) return base::fail(facts.error());
    if (!facts.there()) return nullptr;
    return devices.numbered(facts.value().type == FileFacts::Type::block ? facts.value().device
                                                                         : facts.value().filesystem);
}

/// Compressed in memory; but a device may be given to it, to which pages go that nobody uses (zram.rst, writeback).
base::Result<bool> stays_in_memory(const System& system, const BlockDevices& devices, const std::string& zram) {
    const Seen<std::string> backing = system.read_line("/sys/block/" + zram + "/backing_dev");
    if (!backing) return base::fail(backing.error());
    if (backing.value_or("none") == "none") return true;
    const base::Result<const BlockDevice*> device = device_below(system, devices, backing.value());
    if (!device) return base::fail(device.error());
    return *device != nullptr && devices.encrypted((*device)->name);
}

/// Nothing of it reaches a disk in the clear.
base::Result<bool> is_harmless(const System& system, const BlockDevices& devices, const std::string& path) {
    const base::Result<const BlockDevice*> device = device_below(system, devices, path);
    if (!device) return base::fail(device.error());
    if (*device == nullptr) return false;
    const std::string& name = (*device)->name;
    return name.starts_with("zram") ? stays_in_memory(system, devices, name) : devices.encrypted(name);
}

}  // namespace

std::vector<Finding> check_swap(const System& system, const base::Result<BlockDevices>& devices) {
    Lines lines("swap");
    const std::string looked_at(swaps);
    const Seen<std::string> text = system.read(swaps);
    if (!text || !devices) {
        lines.unknown(looked_at, text ? devices.error() : text.error());
        return lines.take();
    }
    const std::vector<std::string_view> areas = text.there() ? lines_of(text.value()) : std::vector<std::string_view>();
    for (std::size_t i = 1; i < areas.size(); ++i) {  // the first is a heading
        const std::string path = without_escapes(words_of(areas[i]).front());
        const base::Result<bool> harmless = is_harmless(system, *devices, path);
        if (!harmless) lines.unknown(looked_at, harmless.error());
        if (!harmless || *harmless) continue;
        lines.fault(looked_at, path + " is swap in the clear: memory of guests may lie there for ever",
                    fmt::format("swapoff {}, and encrypt it with a random key (crypttab(5), swap)", path));
    }
    if (lines.clean())
        lines.ok(looked_at,
                 areas.size() < 2 ? "no swap" : fmt::format("{} swap areas, none in the clear", areas.size() - 1));
    return lines.take();
}

}  // namespace safe::verify
