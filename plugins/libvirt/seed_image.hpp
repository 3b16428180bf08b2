// An ISO 9660 file system with a few small files (ECMA-119, with Rock Ridge for their names), made in memory by
// libisofs: what it holds may be confidential and is written nowhere on the way. The same files give the same bytes.
// Thread-safe.
#pragma once

#include <map>
#include <string>

#include "reconciler/base/result.hpp"

namespace safe::libvirt {

/// cloud-init looks for a file system of this name.
inline constexpr const char* seed_label = "CIDATA";

/// `owner` is said in the volume descriptor, at most 128 characters. Files are by name, readable by the guest's root.
[[nodiscard]] base::Result<std::string> make_seed_image(const std::map<std::string, std::string>& files,
                                                        const std::string& owner);

}  // namespace safe::libvirt
