// members::Directory over LDAP: passwords and generations of the accounts that ldap_driver.hpp makes. As thread-safe as
// the Api, which it owns.
#pragma once

#include <memory>

#include "plugins/ldap/layout.hpp"
#include "reconciler/driver/setting.hpp"
#include "reconciler/members/directory.hpp"

namespace safe::ldap {

/// nullptr for a safe without a directory.
[[nodiscard]] std::unique_ptr<members::Directory> make_directory(const driver::Setting& setting);

[[nodiscard]] std::unique_ptr<members::Directory> make_directory(Layout layout, std::unique_ptr<Api> api);

/// What is sent as the password: the key in hexadecimal, because servers and their tools mangle other bytes.
[[nodiscard]] base::Result<base::Secret> password_of(const base::Secret& key);

}  // namespace safe::ldap
