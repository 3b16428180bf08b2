// A safe with a vault, a data volume, a read-only one and one for disks, built by hand.
#pragma once

#include <string>
#include <utility>

#include "specs/spec.hpp"

namespace safe::test {

inline specs::VolumeSpec sample_volume(std::string name, specs::VolumeRole role,
                                       specs::Access access = specs::Access::read_write) {
    specs::VolumeSpec volume;
    volume.name = std::move(name);
    volume.role = {role};
    volume.access = {access};
    volume.filesystem = {specs::Filesystem::ext4};
    return volume;
}

inline specs::SafeSpec sample_volumes() {
    specs::SafeSpec spec;
    spec.safe = {"atlas"};
    spec.suspend = specs::Located<specs::Suspend>{specs::Suspend::disk};
    spec.volumes = {sample_volume("vault", specs::VolumeRole::vault), sample_volume("data", specs::VolumeRole::data),
                    sample_volume("reference", specs::VolumeRole::data, specs::Access::read_only),
                    sample_volume("disks", specs::VolumeRole::disks)};
    return spec;
}

}  // namespace safe::test
