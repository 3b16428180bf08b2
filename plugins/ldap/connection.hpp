// How the directory server is reached, and the Api over libldap that reaches it.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "plugins/ldap/ldap_api.hpp"
#include "specs/values.hpp"

namespace safe::ldap {

struct Account {
    std::string name;  // a distinguished name
    specs::SecretRef password;
};

struct Options {
    /// ldaps://; ldap://, which insists on StartTLS (RFC 4511, 4.14); or ldapi://, a local socket.
    std::string uri;
    std::optional<std::filesystem::path> ca;     // the only authority whose certificates count; required unless ldapi
    std::optional<Account> bind;                 // nullopt: who we are to the kernel (SASL EXTERNAL), only with ldapi
    std::chrono::milliseconds patience{10'000};  // for each answer, and for a connection to be made
};

/// Connects when it is first asked something and again after a connection was lost. The password is read at each
/// connection and wiped, in libldap's own memory too.
[[nodiscard]] std::unique_ptr<Api> make_api(Options options);

}  // namespace safe::ldap
