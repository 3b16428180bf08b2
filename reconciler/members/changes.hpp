// Enrolling, changing a password, revoking: each in an order in which it may be killed anywhere, or lose the directory
// anywhere, without locking anybody out, and be finished by the next run (settle.hpp). An Error of kind refused has
// touched neither the header nor the directory. See docs/members.md.
#pragma once

#include "reconciler/members/parts.hpp"

namespace safe::members {

/// Gives `user` a keyslot and a password, with the key of `sponsor`, a member who can open the vault:
///   keyslot added and verified → directory written (the commit).
/// A member whose keyslot is there but not in the directory (the first one, an enrolment cut short, a new directory)
/// may be their own sponsor: with their own password only the directory is written. A sponsor in that state is put
/// right on the way. Refused: not in the spec; no entry in the directory yet; enrolled already; the sponsor is not in
/// the spec, or the password is wrong; no room for one more besides the place that stays free.
[[nodiscard]] base::Result<Done> enrol(const Parts& parts, std::string_view user, const base::Secret& user_password,
                                       std::string_view sponsor, const base::Secret& sponsor_password);

/// keyslot of the next generation added and verified → directory written (the commit) → old keyslot removed. Refused:
/// the old password is wrong or was replaced; the new one is the same; no entry in the directory; no room.
[[nodiscard]] base::Result<Done> change_password(const Parts& parts, std::string_view user,
                                                 const base::Secret& old_password, const base::Secret& new_password);

/// connections ended → keyslots removed → directory entry removed. The directory may be out of reach: then its part
/// waits. Refused: nobody of that name is anywhere; nobody could open the vault without it; no super-user could.
[[nodiscard]] base::Result<Done> revoke(const Parts& parts, std::string_view user);

}  // namespace safe::members
