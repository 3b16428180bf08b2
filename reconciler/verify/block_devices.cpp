#include "reconciler/verify/block_devices.hpp"

#include <algorithm>

namespace safe::verify {
namespace {

using base::Result;

constexpr std::string_view sysfs = "/sys/block";

/// The content of an attribute; empty when the device has no such attribute.
Result<std::string> attribute(const System& system, const std::filesystem::path& path) {
    const Seen<std::string> text = system.read_line(path);
    if (!text) return base::fail(text.error());
    return text.value_or("");
}

/// nullopt: it went away while it was looked at.
Seen<BlockDevice> read_device(const System& system, const std::filesystem::path& folder) {
    BlockDevice device{.name = folder.filename().string()};
    const Result<std::string> number = attribute(system, folder / "dev");
    if (!number) return base::fail(number.error());
    if (number->empty()) return std::nullopt;
    const auto parsed = parse_device_number(*number);
    if (!parsed)
        return base::fail({.attempt = "look at",
                           .object = (folder / "dev").string(),
                           .cause = "it holds no device number: " + *number});
    device.number = *parsed;
    const Seen<std::vector<std::string>> under = system.list(folder / "slaves");
    if (!under) return base::fail(under.error());
    device.under = under.value_or(std::vector<std::string>());
    const std::array<std::pair<std::string_view, std::string*>, 3> texts{
        {{"dm/name", &device.mapping}, {"dm/uuid", &device.mapping_uuid}, {"loop/backing_file", &device.backing_file}}};
    for (const auto& [name, text] : texts) {
        Result<std::string> value = attribute(system, folder / name);
        if (!value) return base::fail(value.error());
        *text = std::move(*value);
    }
    const Result<std::string> suspended = attribute(system, folder / "dm/suspended");
    if (!suspended) return base::fail(suspended.error());
    device.suspended = *suspended == "1";
    return device;
}

}  // namespace

Result<BlockDevices> BlockDevices::read(const System& system) {
    const Seen<std::vector<std::string>> disks = system.list(sysfs);
    if (!disks) return base::fail(disks.error());
    if (!disks.there())
        return base::fail({.attempt = "look at",
                           .object = std::string(sysfs),
                           .cause = "it is not there",
                           .advice = "mount sysfs on /sys"});
    BlockDevices devices;
    for (const std::string& disk : disks.value()) {
        const std::filesystem::path folder = std::filesystem::path(sysfs) / disk;
        Seen<BlockDevice> device = read_device(system, folder);
        if (!device) return base::fail(device.error());
        if (!device.there()) continue;
        devices.devices_.push_back(std::move(device.value()));
        const Seen<std::vector<std::string>> entries = system.list(folder);
        if (!entries) return base::fail(entries.error());
        for (const std::string& entry : entries.value_or(std::vector<std::string>())) {
            if (!entry.starts_with(disk)) continue;  // partitions bear their disk's name
            Seen<BlockDevice> partition = read_device(system, folder / entry);
            if (!partition) return base::fail(partition.error());
            if (!partition.there()) continue;
            partition.value().disk = disk;
            devices.devices_.push_back(std::move(partition.value()));
        }
    }
    return devices;
}

const BlockDevice* BlockDevices::named(std::string_view name) const {
    const auto found = std::ranges::find(devices_, name, &BlockDevice::name);
    return found == devices_.end() ? nullptr : &*found;
}

const BlockDevice* BlockDevices::numbered(DeviceNumber number) const {
    const auto found = std::ranges::find(devices_, number, &BlockDevice::number);
    return found == devices_.end() ? nullptr : &*found;
}

std::set<std::string> BlockDevices::built_on(const std::set<std::string>& names) const {
    std::set<std::string> found;
    const auto rests = [&](const std::string& name) { return names.contains(name) || found.contains(name); };
    for (bool more = true; more;) {
        more = false;
        for (const BlockDevice& device : devices_) {
            if (rests(device.name)) continue;
            if (rests(device.disk) || std::ranges::any_of(device.under, rests))
                more = found.insert(device.name).second || more;
        }
    }
    return found;
}

bool BlockDevices::encrypted(std::string_view name) const {
    const BlockDevice* device = named(name);
    // A stack of devices has an end; the bound is for a sysfs that lies.
    for (int depth = 0; device != nullptr && depth < 32; ++depth) {
        if (device->mapping_uuid.starts_with("CRYPT-")) return true;
        if (device->under.size() > 1)
            return std::ranges::all_of(device->under, [&](const std::string& below) { return encrypted(below); });
        device = named(device->under.empty() ? device->disk : device->under.front());
    }
    return false;
}

}  // namespace safe::verify
