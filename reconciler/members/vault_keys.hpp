// VaultKeys: what enrolling, changing a password and revoking need of the vault's header, and nothing more. Implemented
// over LUKS2 in plugins/luks; used by reconciler/members, which knows the order of things and no header. Keys are the
// subkeys of label "luks" (base/key_derivation.hpp), never passwords. One writer at a time: callers hold the safe's
// lock file. Blocks for as long as a keyslot's own derivation takes.
//
// A member's *generation* counts the passwords they have had, from 1; a generation is in the header as a token
// {"type": "safe-user", "keyslots": ["N"], "user": …, "generation": n}. While it is being added its token is there with
// "keyslots": [] and no slot is anybody's yet: an unfinished one, which never opens anything. Every call that fails
// with Error::Kind::refused has left the header as it was, byte for byte.
#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/key_derivation.hpp"
#include "reconciler/base/secret.hpp"
#include "reconciler/members/generation.hpp"

namespace safe::members {

/// One token of type safe-user; or a keyslot without one that is on record as the user's (somebody took the token away
/// and a member accepted the header), of no_generation. That one can be revoked, and is never opened here.
struct Keyslot {
    std::string user;
    Generation generation = no_generation;
    std::optional<int> slot;  // nullopt: unfinished
    /// Whether its owner can open the vault with it, as far as the header says.
    [[nodiscard]] bool opens() const { return slot && generation != no_generation; }
    auto operator<=>(const Keyslot&) const = default;
};

/// What the token safe-vault says of how a password becomes a key.
struct Derivation {
    std::vector<std::byte> salt;
    base::DerivationCost cost;
};

/// What one reading of the header found. It has passed the header policy and agrees with the record; a header that does
/// not is an Error, never a shorter list.
struct VaultHeader {
    Derivation derivation;
    std::vector<Keyslot> keyslots;  // by user, then generation
    int room = 0;                   // how many more keyslots fit, by slots and by metadata, the one kept free included
    int others = 0;                 // keyslots that neither token nor record names; never touched
};

/// Whoever opens the door for another: a keyslot and the key that opens it.
struct Sponsor {
    Keyslot keyslot;
    const base::Secret& key;
};

/// What a key can be tried on.
class KeyTrial {
 public:
    KeyTrial() = default;
    KeyTrial(const KeyTrial&) = delete;
    KeyTrial& operator=(const KeyTrial&) = delete;
    KeyTrial(KeyTrial&&) = delete;
    KeyTrial& operator=(KeyTrial&&) = delete;
    virtual ~KeyTrial() = default;

    /// Which of `user`'s keyslots `key` opens, the newest generation tried first; nullopt when it opens none of them
    /// (the wrong password). Everything else, out of memory among it, is an Error. Changes nothing, maps nothing.
    [[nodiscard]] virtual base::Result<std::optional<Keyslot>> prove(std::string_view user,
                                                                     const base::Secret& key) = 0;
};

class VaultKeys : public KeyTrial {
 public:
    /// False when the vault has not been formatted yet: the first key that is given will be its first. Only looks.
    [[nodiscard]] virtual base::Result<bool> is_made() = 0;

    /// Only reads. A vault that is not attached is read as it was last seen.
    [[nodiscard]] virtual base::Result<VaultHeader> read() = 0;

    /// Finishes what a change that was killed has left to do: the area of a keyslot that is gone may still hold it. No
    /// byte written when there is nothing to finish, or when the vault is not attached.
    [[nodiscard]] virtual base::Result<void> finish() = 0;

    /// Adds a generation, durably, in this order: backup of the header; token without a slot; keyslot; token bound to
    /// it; opened with `key` to verify; record. Killed anywhere, what is there is either unfinished or complete.
    /// Refused: there is that generation already (remove an unfinished one first), the sponsor's key does not open the
    /// sponsor's keyslot, no room.
    [[nodiscard]] virtual base::Result<Keyslot> add(std::string_view user, Generation generation,
                                                    const base::Secret& key, const Sponsor& sponsor) = 0;

    /// Takes a generation away, finished or not: backup of the header, keyslot, token, record; with no_generation,
    /// every keyslot of the user's that only the record knows. Nothing to do, and no byte written, when it is not
    /// there. Refused: it holds the last keyslot that opens the vault; the slot is not ours.
    [[nodiscard]] virtual base::Result<void> remove(std::string_view user, Generation generation) = 0;
};

}  // namespace safe::members
