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

/// Of a unit that the server does not show: it is not there yet, or it is hidden, which is told apart only by making
/// it, for a directory that was just set up has no base either, and an apply makes it; warnings say so. But people are
/// made before groups: beside groups that are shown, they are hidden, or were taken away with who knows whose accounts,
/// and that is a Failure of kind missing, unless they come with another look
/// (docs/decisions/0084-a-base-that-is-not-shown.md).
[[nodiscard]] Answer<std::vector<std::string>> judge_missing_unit(Api& api, const Layout& layout, model::Kind kind);

/// Idempotent; people first. A base of a kind that it does not know how to make (anything but dc=, o= and ou=) is a
/// Failure that says so.
[[nodiscard]] Answer<void> make_units(Api& api, const Layout& layout);

}  // namespace safe::ldap
