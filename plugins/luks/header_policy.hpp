// What a header must be before anything is done with it: made for this volume, encrypted as the spec says, with costs
// within bounds, nothing under way, and nothing in it that this program does not know. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/luks/header_image.hpp"
#include "specs/spec.hpp"

namespace safe::luks {

/// Every fault, in words that follow "the header": "has a null cipher: …". Empty: all is well.
[[nodiscard]] std::vector<std::string> faults_of(const Header& header);

/// "aes-xts-plain64", as the one data segment has it; empty when there is none.
[[nodiscard]] std::string cipher_of(const Header& header);
/// Bits of the volume key; 0 without a keyslot.
[[nodiscard]] std::uint64_t key_bits_of(const Header& header);
[[nodiscard]] std::uint64_t data_offset_of(const Header& header);

/// Whether a volume may be formatted so.
[[nodiscard]] bool knows_cipher(std::string_view cipher, std::uint64_t key_bits);

}  // namespace safe::luks
