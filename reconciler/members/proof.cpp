#include "reconciler/members/proof.hpp"

#include <algorithm>

#include "reconciler/members/back_off.hpp"

namespace safe::members {
namespace {

using base::Error;
using base::Result;

std::unexpected<Error> wrong_password(std::string_view user) {
    return base::fail(
        {"prove", std::string(user) + "'s password", "it is wrong", "type it again", Error::Kind::refused});
}

/// The cause of what went wrong stays what is reported, even if taking back the attempt fails too: then it counts.
std::unexpected<Error> not_tried(BackOff& back_off, const Gate& gate, std::string_view user, Error error) {
    static_cast<void>(back_off.was_not_tried(user, gate.source));
    return base::fail(std::move(error));
}

}  // namespace

const Member* Parts::member(std::string_view name) const {
    const auto found = std::ranges::find(roster, name, &Member::name);
    return found == roster.end() ? nullptr : &*found;
}

Result<Keys> derive_keys(const base::Secret& password, const Derivation& derivation, std::string_view user) {
    const Result<base::Secret> seed = base::derive_seed(password, derivation.salt, user, derivation.cost);
    if (!seed) return base::fail(seed.error());
    Result<base::Secret> luks = base::derive_subkey(*seed, base::luks_label);
    if (!luks) return base::fail(luks.error());
    Result<base::Secret> directory = base::derive_subkey(*seed, base::directory_label);
    if (!directory) return base::fail(directory.error());
    return Keys{*std::move(luks), *std::move(directory)};
}

Result<Proof> prove(const Gate& gate, const VaultHeader& header, std::string_view user, const base::Secret& password) {
    const bool has_one = std::ranges::any_of(
        header.keyslots, [user](const Keyslot& keyslot) { return keyslot.user == user && keyslot.opens(); });
    if (!has_one)
        return base::fail({"prove", std::string(user) + "'s password", "no keyslot of the vault is theirs",
                           "name a member that `safectl user list` shows as enrolled", Error::Kind::refused});
    BackOff back_off(gate.attempts, gate.now);
    if (Result<void> may = back_off.may_try(user, gate.source); !may) return base::fail(may.error());
    // Whoever is ended for want of memory has tried nothing: the verdict comes from the trial.
    Result<Keys> keys = derive_keys(password, header.derivation, user);
    if (!keys) return base::fail(keys.error());
    if (Result<void> admitted = back_off.admit(user, gate.source); !admitted) return base::fail(admitted.error());
    const Result<std::optional<Keyslot>> opened = gate.trial.prove(user, keys->luks);
    if (!opened) return not_tried(back_off, gate, user, opened.error());
    if (!*opened) return wrong_password(user);
    if (Result<void> forgiven = back_off.was_right(user, gate.source); !forgiven) return base::fail(forgiven.error());
    return Proof{**opened, *std::move(keys)};
}

Result<Login> log_in(const Parts& parts, std::string_view user, const base::Secret& password) {
    const Result<VaultHeader> header = parts.vault.read();
    if (!header) return base::fail(header.error());
    Result<Proof> proof = prove(parts.gate(), *header, user, password);
    if (!proof) return base::fail(proof.error());
    const Result<bool> taken = parts.directory.binds(user, proof->keys.directory);
    if (!taken) return Login{*std::move(proof), taken.error()};
    if (!*taken)
        return base::fail({"log in", std::string(user),
                           "the directory does not take this password: it was replaced, "
                           "or the enrolment is not finished",
                           "use the new one; or finish it with `safectl user enrol " + std::string(user) + "`",
                           Error::Kind::refused});
    return Login{*std::move(proof)};
}

}  // namespace safe::members
