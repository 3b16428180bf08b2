// Which keyslots may go. What must stay is computed before what may go. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugins/luks/header_store.hpp"
#include "plugins/luks/luks_api.hpp"
#include "specs/spec.hpp"

namespace safe::luks {

/// Whose keyslots they are, by token and by record: a slot whose token vanished is still its owner's.
[[nodiscard]] std::vector<int> slots_owned(const Header& header, const Record& record, const std::string& user);

/// Of these, those that only the record knows: the token of each is gone.
[[nodiscard]] std::vector<int> slots_without_token(const Header& header, const Record& record, const std::string& user);

/// Everybody who has a working keyslot, by token and by record.
[[nodiscard]] std::vector<std::string> owners(const Header& header, const Record& record);

/// What would be lost for ever if `slots` went: the last keyslot, or the last super-user's. nullopt: they may go.
/// `users` may be empty (a safe without members): then only the last keyslot counts.
[[nodiscard]] std::optional<std::string> loss(const Header& header, const Record& record, const std::vector<int>& slots,
                                              const std::vector<specs::UserSpec>& users);

}  // namespace safe::luks
