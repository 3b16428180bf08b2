// The members of a safe in its directory: the driver of kinds account and group. account/<user> is an entry that SSH
// logins inside the safe rest on; it says nothing of passwords, which reconciler/members keeps (members_directory.hpp).
// Owns its Api; safe to call from several threads at once.
#pragma once

#include <memory>
#include <vector>

#include "plugins/ldap/connection.hpp"
#include "plugins/ldap/layout.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::ldap {

/// None for a safe without a directory.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);

/// On another directory: what tests use.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                                        std::unique_ptr<Api> api);

/// How the spec says to reach it.
[[nodiscard]] Options options_of(const specs::DirectorySpec& directory);

}  // namespace safe::ldap
