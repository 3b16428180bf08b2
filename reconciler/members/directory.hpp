// Directory: what enrolling, changing a password and revoking need of the directory, and nothing more. Implemented over
// LDAP in plugins/ldap. Keys are the subkeys of label "directory" (base/key_derivation.hpp): the directory never sees a
// password that a person types, nor anything that opens the vault. Only entries that bear our mark are read or written;
// an entry of the same name that does not is an Error of kind refused. Calls end within the implementation's time
// limits; an Error says that nothing is known, never that nothing is there.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/secret.hpp"
#include "reconciler/members/generation.hpp"

namespace safe::members {

struct DirectoryEntry {
    std::string user;
    /// Which of the member's passwords is the one that counts; nullopt: none yet, pending enrolment. Written together
    /// with the password in one request, which is the commit point of every change.
    std::optional<Generation> generation = std::nullopt;
    bool operator==(const DirectoryEntry&) const = default;
};

/// Why a password was not set, as far as anybody knows.
struct NotSet {
    base::Error error;
    /// Nobody answered: what was sent may be carried out still, whatever find() says meanwhile; until fence().
    bool may_follow = false;
};

class Directory {
 public:
    Directory() = default;
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    Directory(Directory&&) = delete;
    Directory& operator=(Directory&&) = delete;
    virtual ~Directory() = default;

    /// Every account of this safe, by name. An Error as well when the place of the accounts is not to be seen.
    [[nodiscard]] virtual base::Result<std::vector<DirectoryEntry>> list() = 0;

    /// nullopt: looked, and there is no entry of that name where the accounts are.
    [[nodiscard]] virtual base::Result<std::optional<DirectoryEntry>> find(std::string_view user) = 0;

    /// Replaces password and generation in one request, and only if the generation there is still `before`; refused
    /// when it is not, or there is no entry. After any other failure it may or may not have happened: find() tells when
    /// it has; that it has not, only when nothing may follow.
    [[nodiscard]] virtual std::expected<void, NotSet> set_password(std::string_view user,
                                                                   std::optional<Generation> before, Generation after,
                                                                   const base::Secret& key) = 0;

    /// From now on nothing is carried out any more that set_password() was asked for before and nobody has answered;
    /// the entry stays as it is. Only if the generation there is still `present`; refused when it is not (what was
    /// asked for has arrived). After any other failure it may or may not be so.
    [[nodiscard]] virtual base::Result<void> fence(std::string_view user, std::optional<Generation> present) = 0;

    /// Whether the directory takes `key` for `user`'s password, asked by binding with it. An empty key is never sent.
    [[nodiscard]] virtual base::Result<bool> binds(std::string_view user, const base::Secret& key) = 0;

    /// Takes the user out of the safe's groups, then the entry away. Nothing to do when it is not there.
    [[nodiscard]] virtual base::Result<void> remove(std::string_view user) = 0;
};

}  // namespace safe::members
