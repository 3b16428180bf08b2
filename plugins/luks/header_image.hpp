// A LUKS2 header as bytes and as what they say (LUKS2 On-Disk Format Specification 1.1.1). Headers come from a provider
// whom nobody trusts: everything is bounded, and nothing is believed before its checksum. What is used afterwards is
// written anew from what was read here (render), so that no other parser can understand these bytes differently. Pure;
// values; no secrets: keyslot areas hold key material only in encrypted form.
#pragma once

#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "reconciler/base/result.hpp"

namespace safe::luks {

using Json = nlohmann::json;

inline constexpr std::uint64_t kibibyte = 1024;
inline constexpr std::uint64_t mebibyte = 1024 * kibibyte;
inline constexpr std::uint64_t binary_size = 4096;  // of the fixed part in front of the metadata
inline constexpr std::uint64_t slot_limit = 32;
/// The sizes of one copy, fixed part and metadata, that the format allows; also where a second copy can begin.
inline constexpr std::array<std::uint64_t, 9> copy_sizes{16 * kibibyte,   32 * kibibyte,   64 * kibibyte,
                                                         128 * kibibyte,  256 * kibibyte,  512 * kibibyte,
                                                         1024 * kibibyte, 2048 * kibibyte, 4096 * kibibyte};

enum class Copy { primary, secondary };

/// What one copy says.
struct Header {
    std::string uuid;
    std::string label;
    std::string subsystem;
    std::uint64_t sequence = 0;  // libcryptsetup counts it up with every change
    std::uint64_t copy_size = 0;
    std::string salt;  // 64 bytes that make each copy's checksum another one
    Json metadata;
    bool operator==(const Header&) const = default;
};

/// What the first copy in a whole image says that it is of, unchecked; empty when it begins like no header.
[[nodiscard]] std::string claimed_uuid(std::string_view image);

/// Reads `size` bytes at `offset`, fewer only where the device ends.
using Reader = std::function<base::Result<std::string>(std::uint64_t offset, std::uint64_t size)>;

/// Both copies, as found.
struct Copies {
    bool any_magic = false;         // some copy begins like a LUKS header, of version 1 or 2
    std::string claimed_uuid;       // what the first sector says, believed or not
    std::string claimed_subsystem;  // the same
    std::optional<Header>
        header;                 // the good copy with the higher sequence; nullopt when none is good, or they disagree
    std::string primary_fault;  // empty: good
    std::string secondary_fault;
    [[nodiscard]] bool sound() const { return header && primary_fault.empty() && secondary_fault.empty(); }
};

/// An Error only when reading failed.
[[nodiscard]] base::Result<Copies> read_copies(const Reader& read);

/// One copy as bytes, checksum included; an Error when the metadata does not fit.
[[nodiscard]] base::Result<std::string> render(const Header& header, Copy copy);

/// Both copies, `copy_size` each, one after the other.
[[nodiscard]] base::Result<std::string> render_both(const Header& header);

/// Where keyslot areas end, in bytes from the start of the device; 0 when the metadata does not say.
[[nodiscard]] std::uint64_t end_of_areas(const Header& header);
/// Where the last keyslot ends that there is, which is long before that: no key is tried on what lies behind.
[[nodiscard]] std::uint64_t end_of_keyslots(const Header& header);

/// A number that LUKS2 keeps as text ("16777216"); nullopt for anything else.
[[nodiscard]] std::optional<std::uint64_t> number_in(const Json& object, std::string_view key);

/// The object at `key`, or an empty one.
[[nodiscard]] const Json& object_in(const Json& object, std::string_view key);

/// The text at `key`, or an empty one.
[[nodiscard]] std::string text_in(const Json& object, std::string_view key);

}  // namespace safe::luks
