// From a person's password to the two keys it stands for. One run of Argon2id (RFC 9106) over a salt gives a seed;
// keyed BLAKE2b (RFC 7693) over a label gives subkeys. Neither subkey yields the other nor the seed, so what the
// directory stores opens no volume. The cost lies in the seed alone. Blocks for as long as the cost says and needs that
// much memory: one runs at a time in a process, not begun with less than that free, and while it runs this process is
// the one that the kernel ends first when memory runs out. Thread-safe; keeps nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "reconciler/base/secret.hpp"

namespace safe::base {

struct DerivationCost {
    std::uint64_t memory = 0;  // bytes; 8 KiB at least (crypto_pwhash_MEMLIMIT_MIN)
    std::uint32_t passes = 0;  // 1 at least
    bool operator==(const DerivationCost&) const = default;
};

inline constexpr std::size_t seed_size = 32;
inline constexpr std::size_t subkey_size = 32;
inline constexpr std::string_view luks_label = "luks";            // opens a keyslot of the vault
inline constexpr std::string_view directory_label = "directory";  // is the password in the directory

/// `user` makes the salt of each person another one; `salt` is the safe's own and public, 16 to 64 bytes. Two errors
/// are told apart by their cause: no memory for it ("out of memory"), and an empty password, which is never derived
/// from.
[[nodiscard]] Result<Secret> derive_seed(const Secret& password, std::span<const std::byte> salt, std::string_view user,
                                         DerivationCost cost);

[[nodiscard]] Result<Secret> derive_subkey(const Secret& seed, std::string_view label);

}  // namespace safe::base
