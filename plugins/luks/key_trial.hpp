// Trying a member's key on a header that has been taken, whether or not it is the one on record; and what that header
// says of its members, in the words of reconciler/members. Changes nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plugins/luks/luks_api.hpp"
#include "plugins/luks/volume_header.hpp"
#include "reconciler/members/vault_keys.hpp"

namespace safe::luks {

struct UserToken;

[[nodiscard]] members::Keyslot keyslot_of(const UserToken& token);

/// An Error when the header does not say how a password becomes a key.
[[nodiscard]] base::Result<members::VaultHeader> vault_header_of(const Taken& taken, const std::string& volume);

/// As members::KeyTrial::prove().
[[nodiscard]] base::Result<std::optional<members::Keyslot>> try_member(Api& api, const Taken& taken,
                                                                       const std::string& object, std::string_view user,
                                                                       const base::Secret& key);

}  // namespace safe::luks
