// Finishes what a command on members left when it was killed or the directory was out of reach: the generation that the
// directory names is the one that counts, and every other of that member goes. Run before each command that changes a
// member, and by apply and open while the vault's header can be read.
#pragma once

#include "reconciler/members/parts.hpp"

namespace safe::members {

/// Idempotent; writes nothing when there is nothing to settle, and asks the directory only about members who have more
/// than one keyslot. What never opens anything (unfinished) always goes. A keyslot goes only while the one that the
/// directory names is there: where the directory names none (a new one, an enrolment cut short) or one that the vault
/// does not have (an old header restored), everything stays, and `user list` says so. Before one goes, what
/// the directory may have been asked for it and has not answered is fenced off. `waits` when the directory was needed
/// and out of reach.
[[nodiscard]] base::Result<Done> settle(VaultKeys& vault, Directory& directory);

}  // namespace safe::members
