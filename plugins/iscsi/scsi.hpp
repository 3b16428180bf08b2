// What a logical unit says of itself, read from the bytes of its answers (SPC-4, SBC-3). The same readers serve what
// libiscsi fetched and what the kernel shows in sysfs. The bytes come from storage that nobody has to trust: every
// length in them is checked against what there is. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace safe::iscsi {

using Bytes = std::span<const std::byte>;

/// INQUIRY, VPD page 0x80: printable characters, without blanks around them. Empty when it is no such page.
[[nodiscard]] std::string serial_of(Bytes page);

/// INQUIRY, VPD page 0x83: the best designator of the unit itself: "naa.<hex>", "eui.<hex>" or "t10.<text>".
[[nodiscard]] std::string designator_of(Bytes page);

/// Standard INQUIRY: a disk that is connected (SPC-4, 6.6.2).
[[nodiscard]] bool is_disk(Bytes inquiry);

struct Capacity {
    std::uint64_t blocks = 0;
    std::uint32_t block_size = 0;  // bytes, a power of two from 512 to 65536
};
/// READ CAPACITY (16); nullopt for sizes that no disk has.
[[nodiscard]] std::optional<Capacity> capacity_of(Bytes answer);

/// MODE SENSE (6): bit WP of the header.
[[nodiscard]] bool write_protected(Bytes answer);

/// REPORT LUNS; only those with one-level numbers.
[[nodiscard]] std::vector<std::uint32_t> luns_of(Bytes answer);

/// How much of a unit's beginning luks_uuid looks at.
inline constexpr std::size_t luks_header_size = 32 * std::size_t{1024};
/// The UUID in a LUKS1 or LUKS2 header; nullopt when there is no header. An unreadable UUID is the text "unreadable".
[[nodiscard]] std::optional<std::string> luks_uuid(Bytes beginning);

}  // namespace safe::iscsi
