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
        const base::Result<const BlockDevice*> device = device_below(system, *devices, path);
        if (!device) {
            lines.unknown(looked_at, device.error());
            continue;
        }
        if (*device != nullptr && ((*device)->name.starts_with("zram") || devices->encrypted((*device)->name)))
            continue;
        lines.fault(looked_at, path + " is swap in the clear: memory of guests may lie there for ever",
                    fmt::format("swapoff {}, and encrypt it with a random key (crypttab(5), swap)", path));
    }
    if (lines.clean())
        lines.ok(looked_at,
                 areas.size() < 2 ? "no swap" : fmt::format("{} swap areas, none in the clear", areas.size() - 1));
    return lines.take();
}

}  // namespace safe::verify
