#include "specs/digest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sodium/crypto_hash_sha256.h>

namespace safe::specs {

Sha256Bytes sha256(std::string_view data) {
    static_assert(crypto_hash_sha256_BYTES == std::tuple_size_v<Sha256Bytes>);
    Sha256Bytes digest{};
    crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(data.data()), data.size());
    return digest;
}

std::string sha256_hex(std::string_view data) { return fmt::format("{:02x}", fmt::join(sha256(data), "")); }

}  // namespace safe::specs
