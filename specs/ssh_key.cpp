#include "specs/ssh_key.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace safe::specs {
namespace {

/// A kind of key, and of what strings its blob consists after the name of the type.
struct Type {
    std::string_view name;
    std::size_t strings;
};
constexpr std::array<Type, 7> types{{{"ssh-ed25519", 1},          // RFC 8709: the key
                                     {"ssh-rsa", 2},              // RFC 4253: e, n
                                     {"ecdsa-sha2-nistp256", 2},  // RFC 5656: curve, Q
                                     {"ecdsa-sha2-nistp384", 2},
                                     {"ecdsa-sha2-nistp521", 2},
                                     {"sk-ssh-ed25519@openssh.com", 2},            // PROTOCOL.u2f: key, application
                                     {"sk-ecdsa-sha2-nistp256@openssh.com", 3}}};  // curve, Q, application

bool is_base64_digit(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

bool is_base64(std::string_view text) {
    const auto* const end = std::ranges::find_if_not(text, is_base64_digit);
    const std::string_view padding(end, text.end());
    return end != text.begin() && padding.size() <= 2 && padding.find_first_not_of('=') == std::string_view::npos;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

std::optional<std::vector<std::uint8_t>> decoded(std::string_view base64) {
    std::vector<std::uint8_t> bytes(base64.size());
    std::size_t size = 0;
    const char* end = nullptr;
    const int failure = sodium_base642bin(bytes.data(), bytes.size(), base64.data(), base64.size(), nullptr, &size,
                                          &end, sodium_base64_VARIANT_ORIGINAL);
    if (failure != 0 || end != base64.data() + base64.size()) return std::nullopt;
    bytes.resize(size);
    return bytes;
}

/// The strings of a blob (RFC 4251 section 5), which must make it up exactly.
std::optional<std::vector<std::string>> strings_of(const std::vector<std::uint8_t>& blob) {
    std::vector<std::string> strings;
    std::size_t at = 0;
    while (at < blob.size()) {
        if (blob.size() - at < 4) return std::nullopt;
        std::size_t size = 0;
        for (int i = 0; i < 4; ++i) size = size << 8 | blob[at++];
        if (blob.size() - at < size) return std::nullopt;
        const auto from = blob.begin() + static_cast<std::ptrdiff_t>(at);
        strings.emplace_back(from, from + static_cast<std::ptrdiff_t>(size));
        at += size;
    }
    return strings;
}

/// Of an mpint without its sign byte.
std::size_t bits_of(std::string_view number) {
    number.remove_prefix(std::min(number.find_first_not_of('\0'), number.size()));
    if (number.empty()) return 0;
    std::size_t bits = number.size() * 8;
    for (auto top = static_cast<unsigned char>(number.front()); (top & 0x80U) == 0;
         top = static_cast<unsigned char>(top << 1))
        --bits;
    return bits;
}

}  // namespace

std::optional<SshKey> split_ssh_key(std::string_view text) {
    if (text.size() > ssh_key_longest || std::ranges::any_of(text, is_control)) return std::nullopt;
    const std::size_t after_type = text.find(' ');
    if (after_type == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(after_type + 1);
    const std::size_t after_base64 = std::min(rest.find(' '), rest.size());
    const SshKey key{.type = text.substr(0, after_type),
                     .base64 = rest.substr(0, after_base64),
                     .comment = rest.substr(std::min(after_base64 + 1, rest.size()))};
    const bool is_known = std::ranges::find(types, key.type, &Type::name) != types.end();
    return is_known && is_base64(key.base64) ? std::optional(key) : std::nullopt;
}

std::optional<SshKeyFault> ssh_key_fault(const SshKey& key) {
    constexpr std::size_t ed25519_bytes = 32;
    constexpr std::size_t least_rsa_bits = 2048;
    const auto fault = [](std::string what) {
        return SshKeyFault{std::move(what), "copy the line of the *.pub file again"};
    };
    const auto damaged = [&] { return fault("is cut off or damaged"); };
    const auto blob = decoded(key.base64);
    const auto strings = blob ? strings_of(*blob) : std::nullopt;
    if (!strings || strings->empty()) return damaged();
    if (strings->front() != key.type) return fault("is of another type than " + std::string(key.type));
    const auto* const type = std::ranges::find(types, key.type, &Type::name);
    if (strings->size() != type->strings + 1) return damaged();
    const bool is_ed25519 = key.type.find("ed25519") != std::string_view::npos;
    if (is_ed25519 && (*strings)[1].size() != ed25519_bytes) return damaged();
    const std::size_t rsa_bits = key.type == "ssh-rsa" ? bits_of((*strings)[2]) : least_rsa_bits;
    if (rsa_bits < least_rsa_bits) {
        return SshKeyFault{"has " + std::to_string(rsa_bits) + " bits, which is too short",
                           "make another one: ssh-keygen -t ed25519"};
    }
    return std::nullopt;
}

}  // namespace safe::specs
