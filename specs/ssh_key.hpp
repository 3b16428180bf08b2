// An SSH public key as OpenSSH writes it in a *.pub file: its form, and what is inside. Pure; keeps nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace safe::specs {

/// Bytes; RSA with 16384 bits and a comment fits.
inline constexpr std::size_t ssh_key_longest = 4096;

/// What split_ssh_key accepts, but for the length.
inline constexpr std::string_view ssh_key_pattern =
    R"(^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+={0,2}(?: [^\x00-\x1f\x7f]*)?$)";

struct SshKey {
    std::string_view type;     // "ssh-ed25519"
    std::string_view base64;   // RFC 4253 section 6.6
    std::string_view comment;  // may be empty
};

/// nullopt when the text is not TYPE BASE64 or TYPE BASE64 COMMENT on one line with a type that is known here. Options
/// before the type, which could run a program at login, are no part of that.
[[nodiscard]] std::optional<SshKey> split_ssh_key(std::string_view text);

struct SshKeyFault {
    std::string what;  // in words that follow "the key …"
    std::string help;
};
/// nullopt when nothing is wrong inside: the base64 holds a key of the type that stands before it and nothing after
/// it, and an RSA key has at least 2048 bits.
[[nodiscard]] std::optional<SshKeyFault> ssh_key_fault(const SshKey& key);

}  // namespace safe::specs
