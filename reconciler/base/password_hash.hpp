// The hash of a key under which a server keeps it as a password: Argon2id (RFC 9106) with a random salt, at the least
// cost there is, because what is hashed is a key of 32 random-looking bytes already and its price was paid when it was
// derived (key_derivation.hpp). Never for what a person types. Thread-safe; keeps nothing.
#pragma once

#include <string>

#include "reconciler/base/secret.hpp"

namespace safe::base {

/// "$argon2id$v=19$m=8,t=1,p=1$salt$hash", another one each time. `key` has 32 bytes at least, in whatever spelling.
[[nodiscard]] Result<std::string> hash_of_key(const Secret& key);

}  // namespace safe::base
