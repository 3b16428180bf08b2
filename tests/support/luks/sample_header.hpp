// A sound LUKS2 header, built by hand: one keyslot of alice's, our tokens, nothing else.
#pragma once

#include <string>

#include "plugins/luks/header_image.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/digest.hpp"

namespace safe::test {

inline luks::Header sample_header() {
    luks::Header header{.uuid = "0f6a1f1e-5c1d-4d4e-9d51-2f3c8a7b6e10",
                        .label = {},
                        .subsystem = "safe:atlas/vault",
                        .sequence = 7,
                        .copy_size = 16 * luks::kibibyte,
                        .salt = std::string(64, 's'),
                        .metadata = {}};
    luks::Json& metadata = header.metadata;
    metadata["keyslots"]["0"] = luks::Json::parse(R"({"type": "luks2", "key_size": 64,
        "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"},
        "area": {"type": "raw", "offset": "32768", "size": "258048", "encryption": "aes-xts-plain64", "key_size": 64},
        "kdf": {"type": "argon2id", "time": 4, "memory": 32768, "cpus": 1, "salt": "c2FsdA=="}})");
    metadata["segments"]["0"] = luks::Json::parse(R"({"type": "crypt", "offset": "16777216", "size": "dynamic",
        "iv_tweak": "0", "encryption": "aes-xts-plain64", "sector_size": 512})");
    metadata["digests"]["0"] = luks::Json::parse(R"({"type": "pbkdf2", "keyslots": ["0"], "segments": ["0"],
        "hash": "sha256", "iterations": 1000, "salt": "c2FsdA==", "digest": "ZGlnZXN0"})");
    metadata["config"] = {{"json_size", std::to_string(header.copy_size - luks::binary_size)},
                          {"keyslots_size", "16744448"}};
    const luks::VaultToken vault{
        .salt = std::vector<std::byte>(32, std::byte{7}), .cost = {32 * luks::mebibyte, 1}, .sequence = 1};
    metadata["tokens"]["0"] = to_json(vault);
    metadata["tokens"]["1"] = luks::user_token("alice", 1, {0});
    return header;
}

/// Both copies with this text for metadata and checksums that are right.
inline std::string with_metadata(const luks::Header& header, const std::string& metadata) {
    constexpr std::size_t checksum_at = 448;
    constexpr std::size_t checksum_field = 64;
    std::string image;
    for (const luks::Copy copy : {luks::Copy::primary, luks::Copy::secondary}) {
        std::string bytes = luks::render(header, copy).value().substr(0, luks::binary_size);
        bytes += metadata.substr(0, header.copy_size - luks::binary_size);
        bytes.resize(header.copy_size, '\0');
        bytes.replace(checksum_at, checksum_field, std::string(checksum_field, '\0'));
        const std::string hex = base::sha256_hex(bytes);
        for (std::size_t i = 0; i < hex.size(); i += 2)
            bytes[checksum_at + i / 2] = static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
        image += bytes;
    }
    return image;
}

}  // namespace safe::test
