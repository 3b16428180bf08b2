// SHA-256 (FIPS 180-4) through libsodium, for what this folder names and pins; it may use nothing of the reconciler's.
// Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace safe::specs {

using Sha256Bytes = std::array<unsigned char, 32>;

[[nodiscard]] Sha256Bytes sha256(std::string_view data);

/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view data);

}  // namespace safe::specs
