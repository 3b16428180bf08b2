// Names that the world needs and nobody should have to write: stable for ever, because they follow from the names of
// the safe and of the VM. Pure.
#pragma once

#include <string>
#include <string_view>

namespace safe::specs {

/// UUID version 5 (RFC 4122 section 4.3) of "safe/vm" in a namespace of our own, lower case with dashes. With an empty
/// `vm` it is the safe's own (its network).
[[nodiscard]] std::string uuid_of(std::string_view safe, std::string_view vm);

/// Locally administered MAC address: 02 and the first five bytes of SHA-256 of "safe/vm", "02:…" lower case with
/// colons. With an empty `vm` it is the bridge's.
[[nodiscard]] std::string mac_of(std::string_view safe, std::string_view vm);

/// The name of the VM's interface on the bridge: "sf" and the first 12 hexadecimal digits of SHA-256 of "safe/vm" (14
/// of the 15 characters that Linux allows). The firewall binds a VM to it.
[[nodiscard]] std::string tap_of(std::string_view safe, std::string_view vm);

}  // namespace safe::specs
