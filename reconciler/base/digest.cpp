#include "reconciler/base/digest.hpp"

#include <sodium/core.h>
#include <sodium/crypto_generichash_blake2b.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>

#include <array>

namespace safe::base {
namespace {

crypto_hash_sha256_state* as_state(std::byte* storage) {
    // The header keeps libsodium's type out of every includer; the sizes are checked below.
    return reinterpret_cast<crypto_hash_sha256_state*>(storage);
}

std::string in_hex(std::span<const unsigned char> digest) {
    std::string hex(digest.size() * 2 + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
    hex.pop_back();
    return hex;
}

}  // namespace

Sha256::Sha256() : state_{} {
    static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(state_));
    crypto_hash_sha256_init(as_state(state_));
}

void Sha256::update(std::span<const std::byte> data) {
    crypto_hash_sha256_update(as_state(state_), reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

std::string Sha256::finish_hex() {
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256_final(as_state(state_), digest.data());
    return in_hex(digest);
}

std::string blake2b_hex(std::string_view data, std::size_t bytes) {
    // Once, before another thread may do it for a secret: it chooses what this processor is best at.
    static const int chosen = sodium_init();
    static_cast<void>(chosen);  // what fails in it is its randomness, which is not asked for here
    std::array<unsigned char, 32> digest{};
    crypto_generichash_blake2b(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(data.data()),
                               data.size(), nullptr, 0);
    return in_hex(std::span(digest).first(bytes));
}

std::array<std::uint8_t, 32> sha256(std::string_view data) {
    std::array<std::uint8_t, 32> digest{};
    crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(data.data()), data.size());
    return digest;
}

std::string sha256_hex(std::string_view data) {
    Sha256 hash;
    hash.update(std::as_bytes(std::span(data)));
    return hash.finish_hex();
}

}  // namespace safe::base
