// vault_secrets DEVICE USER <PASSWORD: what must not be found in memory while the vault is closed, each as 64
// hexadecimal digits on a line: the two keys that the password stands for, `luks` and `directory`, and both halves of
// the vault's volume key. For scenarios that search the whole memory of a machine; only with the password of a test.
#include <fmt/format.h>
#include <libcryptsetup.h>
#include <nlohmann/json.hpp>

#include <array>
#include <iostream>
#include <stdexcept>

#include "reconciler/members/proof.hpp"

namespace {

using safe::base::Secret;

struct Free {
    void operator()(crypt_device* device) const { crypt_free(device); }
};
using Device = std::unique_ptr<crypt_device, Free>;

Device load(const char* path) {
    crypt_device* raw = nullptr;
    if (crypt_init(&raw, path) < 0) throw std::runtime_error(fmt::format("no device {}", path));
    Device device(raw);
    if (crypt_load(raw, CRYPT_LUKS2, nullptr) < 0) throw std::runtime_error(fmt::format("no LUKS2 header on {}", path));
    return device;
}

safe::members::Derivation derivation_of(crypt_device* device) {
    for (int token = 0; token < crypt_token_max(CRYPT_LUKS2); ++token) {
        const char* text = nullptr;
        if (crypt_token_json_get(device, token, &text) < 0) continue;
        const auto json = nlohmann::json::parse(text);
        if (json.at("type") != "safe-vault") continue;
        safe::members::Derivation derivation{.salt = {},
                                             .cost = {.memory = json.at("memory"), .passes = json.at("passes")}};
        const std::string salt = json.at("salt");
        for (std::size_t at = 0; at + 1 < salt.size(); at += 2)
            derivation.salt.push_back(static_cast<std::byte>(std::stoi(salt.substr(at, 2), nullptr, 16)));
        return derivation;
    }
    throw std::runtime_error("no token safe-vault");
}

void print(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) fmt::print("{:02x}", std::to_integer<int>(byte));
    fmt::print("\n");
}

void tell(const char* path, const char* user) {
    std::string line;
    std::getline(std::cin, line);
    const Secret password = Secret::copy_of(std::as_bytes(std::span(line))).value();
    const Device device = load(path);
    const safe::members::Keys keys = safe::members::derive_keys(password, derivation_of(device.get()), user).value();
    print(keys.luks.bytes());
    print(keys.directory.bytes());
    std::array<std::byte, 64> key{};
    std::size_t size = key.size();
    if (crypt_volume_key_get(device.get(), CRYPT_ANY_SLOT, reinterpret_cast<char*>(key.data()), &size,
                             reinterpret_cast<const char*>(keys.luks.bytes().data()), keys.luks.bytes().size()) < 0 ||
        size != key.size())
        throw std::runtime_error("the key opens no keyslot, or not to a volume key of 512 bits");
    print(std::span(key).first(32));
    print(std::span(key).last(32));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc != 3) throw std::runtime_error("usage: vault_secrets DEVICE USER <PASSWORD");
        tell(argv[1], argv[2]);
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "vault_secrets: {}\n", error.what());
        return 1;
    }
}
