// The entries above those of people and groups: the base and its two units. Made when they are missing, never changed,
// never removed: others may have put something below them.
#pragma once

#include "plugins/ldap/layout.hpp"

namespace safe::ldap {

/// Idempotent. A base of a kind that it does not know how to make (anything but dc=, o= and ou=) is a Failure that says
/// so.
[[nodiscard]] Answer<void> make_units(Api& api, const Layout& layout);

}  // namespace safe::ldap
