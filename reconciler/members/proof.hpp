// A password made into the keys it stands for, and tried against the vault's header.
#pragma once

#include "reconciler/members/parts.hpp"

namespace safe::members {

/// One derivation, two keys.
struct Keys {
    base::Secret luks;
    base::Secret directory;
};
[[nodiscard]] base::Result<Keys> derive_keys(const base::Secret& password, const Derivation& derivation,
                                             std::string_view user);

struct Proof {
    Keyslot keyslot;  // which of the user's the password opens
    Keys keys;
};

/// Costs one key derivation and the opening of a keyslot. The attempt is counted before it is made and forgiven when it
/// was right. Refused: the wrong password; too many wrong ones lately; nobody of that name has a keyslot. For an
/// attempt that could not be made (out of memory, the header is out of reach) the error says so, and it does not count.
[[nodiscard]] base::Result<Proof> prove(const Gate& gate, const VaultHeader& header, std::string_view user,
                                        const base::Secret& password);

/// A whole login: as prove(), and the directory must take the other key, if it can be reached (R30: the vault is the
/// final verdict). Still one derivation. Refused also when the directory says no: the password was replaced.
struct Login {
    Proof proof;
    std::optional<base::Error> directory_out_of_reach = std::nullopt;
};
[[nodiscard]] base::Result<Login> log_in(const Parts& parts, std::string_view user, const base::Secret& password);

}  // namespace safe::members
