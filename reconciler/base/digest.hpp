// SHA-256 (FIPS 180-4), where others must be able to come to the same digest, and BLAKE2b (RFC 7693), which takes a
// third of the time, where only we compare. Through libsodium. Thread-safe; holds no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace safe::base {

[[nodiscard]] std::array<std::uint8_t, 32> sha256(std::string_view data);
/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view data);

/// The first `bytes` of the 32 of BLAKE2b-256, each as two lower-case hexadecimal digits.
[[nodiscard]] std::string blake2b_hex(std::string_view data, std::size_t bytes = 32);

/// SHA-256 over data that comes in parts (a file of gigabytes).
class Sha256 {
 public:
    Sha256();
    void update(std::span<const std::byte> data);
    /// 64 lower-case hexadecimal digits; the object is spent after it.
    [[nodiscard]] std::string finish_hex();

 private:
    alignas(64) std::byte state_[128];
};

}  // namespace safe::base
