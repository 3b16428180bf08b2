#include "reconciler/members/changes.hpp"

#include <algorithm>
#include <ranges>

#include "reconciler/members/proof.hpp"
#include "reconciler/members/settle.hpp"

namespace safe::members {
namespace {

using base::Error;
using base::Result;
using base::Secret;

std::unexpected<Error> refuse(std::string attempt, std::string_view user, std::string cause, std::string advice) {
    return base::fail(
        {std::move(attempt), std::string(user), std::move(cause), std::move(advice), Error::Kind::refused});
}

std::vector<Keyslot> keyslots_of(const VaultHeader& header, std::string_view user) {
    std::vector<Keyslot> own;
    std::ranges::copy_if(header.keyslots, std::back_inserter(own),
                         [user](const Keyslot& keyslot) { return keyslot.user == user && keyslot.slot; });
    return own;
}

Generation next_generation(const std::vector<Keyslot>& keyslots, const DirectoryEntry& entry) {
    Generation highest = entry.generation.value_or(0);
    for (const Keyslot& keyslot : keyslots) highest = std::max(highest, keyslot.generation);
    return highest + 1;
}

/// What a command begins with: nothing left over, a header just read, and the entry of the user.
struct Start {
    VaultHeader header;
    DirectoryEntry entry;
};

Result<Start> begin(const Parts& parts, const std::string& attempt, std::string_view user) {
    const Result<Done> settled = settle(parts.vault, parts.directory);
    if (!settled) return base::fail(settled.error());
    Result<VaultHeader> header = parts.vault.read();
    if (!header) return base::fail(header.error());
    Result<std::optional<DirectoryEntry>> entry = parts.directory.find(user);
    if (!entry) return base::fail(entry.error());
    if (!*entry) return refuse(attempt, user, "the directory has no entry of that name yet", "apply the spec first");
    return Start{*std::move(header), **std::move(entry)};
}

/// Whether an opened keyslot is the one that counts, as far as the directory says.
bool counts(const Keyslot& keyslot, const DirectoryEntry& entry) {
    return !entry.generation || *entry.generation == keyslot.generation;
}

/// The commit, and if it fails, what is known of it: done after all; not done, so that the new keyslot goes; or nobody
/// knows, so that both stay until somebody does.
Result<Done> commit(const Parts& parts, const DirectoryEntry& before, const Keyslot& added, const Secret& key,
                    bool undo) {
    const auto written = parts.directory.set_password(added.user, before.generation, added.generation, key);
    if (written) return Done{};
    const Result<std::optional<DirectoryEntry>> now = parts.directory.find(added.user);
    if (!now) return Done{.waits = written.error().error};
    if (*now && (*now)->generation == added.generation) {
        const Result<bool> taken = parts.directory.binds(added.user, key);
        if (taken && *taken) return Done{};
        return Done{.waits = written.error().error};
    }
    // Not there yet, but on its way: it would name a keyslot that is gone, and lock its owner out of both.
    if (written.error().may_follow) return Done{.waits = written.error().error};
    if (undo)
        if (const Result<void> removed = parts.vault.remove(added.user, added.generation); !removed)
            return base::fail(removed.error());
    Error error = written.error().error;
    if (error.kind == Error::Kind::refused) error.kind = Error::Kind::failed;  // the header was touched meanwhile
    return base::fail(std::move(error));
}

// --- enrolling

/// Puts somebody right whose keyslot is there and whose entry names no generation.
Result<Done> write_missing(const Parts& parts, const DirectoryEntry& entry, const Proof& proof) {
    if (entry.generation) return Done{};
    return commit(parts, entry, proof.keyslot, proof.keys.directory, false);
}

Result<Proof> prove_sponsor(const Parts& parts, const VaultHeader& header, std::string_view sponsor,
                            const Secret& password) {
    if (parts.member(sponsor) == nullptr)
        return refuse("be sponsored by", sponsor, "nobody of that name is in the spec", "name another member");
    const Result<std::optional<DirectoryEntry>> entry = parts.directory.find(sponsor);
    if (!entry) return base::fail(entry.error());
    if (!*entry)
        return refuse("be sponsored by", sponsor, "the directory has no entry of that name", "apply the spec first");
    Result<Proof> proof = prove(parts.gate(), header, sponsor, password);
    if (!proof) return proof;
    if (!counts(proof->keyslot, **entry))
        return refuse("be sponsored by", sponsor, "that password was replaced by another", "use the present one");
    if (const Result<Done> written = write_missing(parts, **entry, *proof); !written)
        return base::fail(written.error());
    else if (written->waits)
        return base::fail(*written->waits);
    return proof;
}

bool is_enrolled(const Start& start, std::string_view user) {
    return std::ranges::any_of(keyslots_of(start.header, user),
                               [&](const Keyslot& keyslot) { return start.entry.generation == keyslot.generation; });
}

/// With their own key: the keyslot is there, only the directory does not know of it.
Result<Done> enrol_oneself(const Parts& parts, const Start& start, std::string_view user, const Secret& password) {
    const Result<Proof> proof = prove(parts.gate(), start.header, user, password);
    if (!proof) return base::fail(proof.error());
    return commit(parts, start.entry, proof->keyslot, proof->keys.directory, false);
}

/// An enrolment that was cut short left keyslots that nothing refers to. With the password they were made for they are
/// taken as they are.
Result<std::optional<Done>> take_up(const Parts& parts, const Start& start, std::string_view user, const Keys& keys) {
    if (keyslots_of(start.header, user).empty()) return std::nullopt;
    const Result<std::optional<Keyslot>> opened = parts.vault.prove(user, keys.luks);
    if (!opened) return base::fail(opened.error());
    if (!*opened) return std::nullopt;
    Result<Done> done = commit(parts, start.entry, **opened, keys.directory, false);
    if (!done) return base::fail(done.error());
    return *std::move(done);
}

/// A new keyslot, the commit, and only then the old ones go.
Result<Done> replace_keyslots(const Parts& parts, const Start& start, std::string_view user, const Keys& keys,
                              const Proof& proof) {
    const std::vector<Keyslot> old = keyslots_of(start.header, user);
    const Result<Keyslot> added =
        parts.vault.add(user, next_generation(old, start.entry), keys.luks, {proof.keyslot, proof.keys.luks});
    if (!added) return base::fail(added.error());
    Result<Done> committed = commit(parts, start.entry, *added, keys.directory, true);
    if (!committed || committed->waits) return committed;
    for (const Keyslot& one : old)
        if (Result<void> removed = parts.vault.remove(user, one.generation); !removed)
            return Done{.waits = removed.error()};
    return Done{};
}

}  // namespace

Result<Done> enrol(const Parts& parts, std::string_view user, const Secret& user_password, std::string_view sponsor,
                   const Secret& sponsor_password) {
    if (parts.member(user) == nullptr)
        return refuse("enrol", user, "nobody of that name is in the spec", "add them to users: and apply");
    const Result<Start> start = begin(parts, "enrol", user);
    if (!start) return base::fail(start.error());
    if (is_enrolled(*start, user))
        return refuse("enrol", user, "is enrolled already",
                      "change the password with `safectl user passwd`, or revoke it first if it is lost");
    if (user == sponsor) return enrol_oneself(parts, *start, user, sponsor_password);
    // One slot stays free, so that everybody can change their password.
    const int needed = keyslots_of(start->header, user).empty() ? 2 : 1;
    if (start->header.room < needed)
        return refuse("enrol", user, "the vault's header has no room for a further member", "revoke somebody first");
    const Result<Proof> proof = prove_sponsor(parts, start->header, sponsor, sponsor_password);
    if (!proof) return base::fail(proof.error());
    const Result<Keys> keys = derive_keys(user_password, start->header.derivation, user);
    if (!keys) return base::fail(keys.error());
    const Result<std::optional<Done>> taken_up = take_up(parts, *start, user, *keys);
    if (!taken_up) return base::fail(taken_up.error());
    if (*taken_up) return **taken_up;

    return replace_keyslots(parts, *start, user, *keys, *proof);
}

Result<Done> change_password(const Parts& parts, std::string_view user, const Secret& old_password,
                             const Secret& new_password) {
    const Result<Start> start = begin(parts, "change the password of", user);
    if (!start) return base::fail(start.error());
    if (start->header.room < 1)
        return refuse("change the password of", user, "the vault's header has no room for the new keyslot",
                      "revoke somebody first");
    const Result<Proof> proof = prove(parts.gate(), start->header, user, old_password);
    if (!proof) return base::fail(proof.error());
    if (!counts(proof->keyslot, start->entry))
        return refuse("change the password of", user, "the old password was replaced by another already",
                      "use the present one");
    const Result<Keys> keys = derive_keys(new_password, start->header.derivation, user);
    if (!keys) return base::fail(keys.error());
    if (std::ranges::equal(keys->luks.bytes(), proof->keys.luks.bytes()))
        return refuse("change the password of", user, "the new one is the old one", "think of another");

    return replace_keyslots(parts, *start, user, *keys, *proof);
}

Result<Done> revoke(const Parts& parts, std::string_view user) {
    // Somebody may have ended this very revocation: its keyslot is gone then, and its area is still to be overwritten.
    if (Result<void> finished = parts.vault.finish(); !finished) return base::fail(finished.error());
    const Result<VaultHeader> header = parts.vault.read();
    if (!header) return base::fail(header.error());
    const Result<std::optional<DirectoryEntry>> entry = parts.directory.find(user);
    const auto named = [user](const Keyslot& keyslot) { return keyslot.user == user; };
    const bool has_keyslot = std::ranges::any_of(header->keyslots, named);
    if (!has_keyslot && !entry) return base::fail(entry.error());
    if (!has_keyslot && !*entry)
        return refuse("revoke", user, "nobody of that name is known", "look at `safectl user list`");

    const auto can_open = [&](const Keyslot& keyslot) {
        return keyslot.opens() && keyslot.user != user && parts.member(keyslot.user) != nullptr;
    };
    const auto super_can_open = [&](const Keyslot& keyslot) {
        return can_open(keyslot) && parts.member(keyslot.user)->super;
    };
    if (has_keyslot && !std::ranges::any_of(header->keyslots, can_open))
        return refuse("revoke", user, "nobody else could open the vault", "enrol somebody else first");
    if (has_keyslot && !std::ranges::any_of(header->keyslots, super_can_open))
        return refuse("revoke", user, "no other super-user could open the vault", "enrol another super-user first");

    if (parts.disconnect)
        if (Result<void> cut = parts.disconnect(user); !cut) return base::fail(cut.error());
    for (const Keyslot& keyslot : header->keyslots)
        if (named(keyslot))
            if (Result<void> removed = parts.vault.remove(user, keyslot.generation); !removed)
                return base::fail(removed.error());
    // The access is gone with the keyslot; the rest may wait for the directory.
    if (!entry && has_keyslot) return Done{.waits = entry.error()};
    if (Result<void> removed = parts.directory.remove(user); !removed) return Done{.waits = removed.error()};
    return Done{};
}

}  // namespace safe::members
