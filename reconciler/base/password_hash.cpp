#include "reconciler/base/password_hash.hpp"

#include <sodium.h>

#include <array>

namespace safe::base {

Result<std::string> hash_of_key(const Secret& key) {
    const auto failed = [](std::string cause) {
        return fail({.attempt = "hash", .object = "a key", .cause = std::move(cause)});
    };
    if (key.size() < 32) return failed("it is shorter than 32 bytes");
    std::array<char, crypto_pwhash_STRBYTES> text{};
    if (crypto_pwhash_str_alg(text.data(), key.view().data(), key.size(), crypto_pwhash_argon2id_OPSLIMIT_MIN,
                              crypto_pwhash_argon2id_MEMLIMIT_MIN, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return failed("out of memory");
    return std::string(text.data());
}

}  // namespace safe::base
