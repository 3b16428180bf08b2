// The entries above those of people and groups: the base and its two units. Made when they are missing, never changed,
// never removed: others may have put something below them.
#pragma once

#include "plugins/ldap/layout.hpp"

namespace safe::ldap {

/// Whether the server shows us an entry. One that it hides from us is "missing" in its words, so that "missing" is no
/// proof of anything while the entry above is not shown either.
[[nodiscard]] Answer<bool> shows(Api& api, const std::string& name);

/// Of an entry that is missing although it was made, or is there although it is missing.
[[nodiscard]] base::Error hidden(std::string attempt, std::string object, std::string cause);

/// Idempotent. A base of a kind that it does not know how to make (anything but dc=, o= and ou=) is a Failure that says
/// so.
[[nodiscard]] Answer<void> make_units(Api& api, const Layout& layout);

}  // namespace safe::ldap
