#include "reconciler/base/key_derivation.hpp"

#include <sodium.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>

namespace safe::base {
namespace {

/// In bytes; nullopt where the kernel does not say.
std::optional<std::uint64_t> available_memory() {
    std::ifstream info("/proc/meminfo");
    std::string word;
    while (info >> word)
        if (std::uint64_t kib = 0; word == "MemAvailable:" && info >> kib) return kib * 1024;
    return std::nullopt;
}

/// Should memory run out all the same, better this process than a guest. For as long as it lives.
class EndedFirst {
 public:
    EndedFirst() {
        std::ifstream(file) >> before_;
        write("1000");
    }
    EndedFirst(const EndedFirst&) = delete;
    EndedFirst& operator=(const EndedFirst&) = delete;
    EndedFirst(EndedFirst&&) = delete;
    EndedFirst& operator=(EndedFirst&&) = delete;
    ~EndedFirst() { write(before_); }

 private:
    static constexpr const char* file = "/proc/self/oom_score_adj";
    static void write(const std::string& score) {
        if (!score.empty()) std::ofstream(file) << score;
    }

    std::string before_;
};

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
    static std::mutex one_at_a_time;
    const std::scoped_lock lock(one_at_a_time);
    constexpr std::uint64_t spare = std::uint64_t{64} << 20U;
    // The kernel would rather end some process than refuse.
    if (const auto available = available_memory();
        available && (*available < spare || *available - spare < cost.memory))
        return failed("out of memory: it needs " + std::to_string(cost.memory >> 20U) + " MiB, and " +
                          std::to_string(*available >> 20U) + " MiB are free",
                      "free some memory and try again");
    const EndedFirst ended_first;
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
