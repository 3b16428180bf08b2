// The estate: what on this machine belongs to the safe's volumes. Each declared volume, and each that left the file but
// is still known by its header record or by the name of a mapping, with the devices that carry its ciphertext and
// everything that is built on them, under whatever name. Found by looking at the kernel; a snapshot, values.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconciler/driver/places.hpp"
#include "reconciler/verify/block_devices.hpp"
#include "reconciler/verify/iscsi_sessions.hpp"

namespace safe::verify {

struct Volume {
    std::string name;
    const specs::VolumeSpec* spec = nullptr;  // nullptr: it left the file
    bool wanted = false;                      // opened in this mode
    std::set<std::string> uuids = {};         // of its LUKS header; empty: not known
    std::optional<FileFacts> file = {};       // of a volume in a file that is there
    std::set<std::string> carriers = {};      // devices that hold its ciphertext, loop devices among them
    std::set<std::string> opened = {};        // devices built on these, and those that bear its name or UUID
};

struct Estate {
    std::vector<Volume> volumes;
    std::vector<base::Error> unseen;  // what could not be looked at while searching

    [[nodiscard]] const Volume* opened_as(std::string_view device) const;
    [[nodiscard]] const Volume* carried_by(std::string_view device) const;
};

/// While closed or locked, `suspend: ram` keeps the volume with workspace VMs' disks open below paused guests.
[[nodiscard]] bool stays_open(const specs::SafeSpec& spec, const specs::VolumeSpec& volume);

[[nodiscard]] Estate find_estate(const System& system, const specs::SafeSpec& spec, const driver::Places& places,
                                 bool open, const BlockDevices& devices, const std::vector<IscsiSession>& sessions);

}  // namespace safe::verify
