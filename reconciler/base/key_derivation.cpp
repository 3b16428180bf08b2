#include "reconciler/base/key_derivation.hpp"

#include <sodium.h>

#include <array>
#include <cerrno>

namespace safe::base {
namespace {

const unsigned char* octets(const void* bytes) { return static_cast<const unsigned char*>(bytes); }

}  // namespace

Result<Secret> derive_seed(const Secret& password, std::span<const std::byte> salt, std::string_view user,
                           DerivationCost cost) {
    const auto failed = [](std::string cause, std::string advice) {
        return fail({.attempt = "derive a key from",
                     .object = "a password",
                     .cause = std::move(cause),
                     .advice = std::move(advice)});
    };
    if (password.empty()) return failed("it is empty", "type the password");
    if (salt.size() < crypto_generichash_KEYBYTES_MIN || salt.size() > crypto_generichash_KEYBYTES_MAX)
        return failed("the safe's salt has a wrong size", "it must have 16 to 64 bytes");
    Result<Secret> seed = Secret::of_size(seed_size);
    if (!seed) return seed;
    // The salt goes in as the key, so that no two pairs of salt and name can run together into the same text.
    std::array<unsigned char, crypto_pwhash_SALTBYTES> own{};
    if (crypto_generichash(own.data(), own.size(), octets(user.data()), user.size(), octets(salt.data()),
                           salt.size()) != 0)
        return failed("its salt cannot be made", "");
    errno = 0;
    if (crypto_pwhash(reinterpret_cast<unsigned char*>(seed->bytes().data()), seed->size(),
                      reinterpret_cast<const char*>(password.bytes().data()), password.size(), own.data(), cost.passes,
                      static_cast<std::size_t>(cost.memory), crypto_pwhash_ALG_ARGON2ID13) != 0)
        return errno == ENOMEM || errno == 0
                   ? failed("out of memory: it needs " + std::to_string(cost.memory >> 20U) + " MiB",
                            "free some memory and try again")
                   : failed(errno_text(errno), "");
    return seed;
}

Result<Secret> derive_subkey(const Secret& seed, std::string_view label) {
    const auto failed = [](std::string cause) {
        return fail({.attempt = "derive", .object = "a subkey", .cause = std::move(cause)});
    };
    if (seed.size() != seed_size) return failed("the seed has a wrong size");
    Result<Secret> key = Secret::of_size(subkey_size);
    if (!key) return key;
    const std::string text(label);
    if (crypto_generichash(reinterpret_cast<unsigned char*>(key->bytes().data()), key->size(), octets(text.data()),
                           text.size(), octets(seed.bytes().data()), seed.size()) != 0)
        return failed("libsodium says no");
    return key;
}

}  // namespace safe::base
