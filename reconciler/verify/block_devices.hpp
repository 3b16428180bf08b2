// The block devices of the kernel and what lies on what, from /sys/block alone: disks and their partitions, loop
// devices and the files under them, mappings and the devices under those. A snapshot; values.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/verify/system.hpp"

namespace safe::verify {

struct BlockDevice {
    std::string name;  // the kernel's: "dm-0"
    DeviceNumber number = {};
    std::string disk = {};                // of a partition: the disk it lies on
    std::vector<std::string> under = {};  // what it is built on: "sda", "loop3"
    std::string mapping = {};             // device-mapper's name and UUID; empty for anything else
    std::string mapping_uuid = {};
    bool suspended = false;         // a mapping that holds back all its I/O
    std::string backing_file = {};  // of a loop device in use, as the kernel writes it
};

class BlockDevices {
 public:
    /// Fails when anything in /sys/block could not be read: a device overlooked is a leftover overlooked.
    [[nodiscard]] static base::Result<BlockDevices> read(const System& system);

    [[nodiscard]] const std::vector<BlockDevice>& all() const { return devices_; }
    [[nodiscard]] const BlockDevice* named(std::string_view name) const;
    [[nodiscard]] const BlockDevice* numbered(DeviceNumber number) const;
    /// Everything that is built on one of `names`, however far up; partitions too, `names` themselves not.
    [[nodiscard]] std::set<std::string> built_on(const std::set<std::string>& names) const;
    /// Whether what is written to `name` passes a dm-crypt mapping on its way down, on every way.
    [[nodiscard]] bool encrypted(std::string_view name) const;

 private:
    std::vector<BlockDevice> devices_;
};

}  // namespace safe::verify
