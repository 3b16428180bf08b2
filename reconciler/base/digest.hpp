// SHA-256 (FIPS 180-4), through libsodium. Thread-safe; holds no state.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace safe::base {

/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view data);

/// The same over data that comes in parts (a file of gigabytes).
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
