#include "plugins/luks/key_trial.hpp"

#include <algorithm>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/tokens.hpp"

namespace safe::luks {

using base::Result;
using members::Keyslot;

Keyslot keyslot_of(const UserToken& token) {
    return {.user = token.user,
            .generation = token.generation,
            .slot = token.slots.empty() ? std::nullopt : std::optional(token.slots.front())};
}

Result<members::VaultHeader> vault_header_of(const Taken& taken, const std::string& volume) {
    const Header& header = taken.header;
    const std::optional<VaultToken> token = vault_token(header);
    if (!token)
        return base::fail({"read", "container/" + volume, "its header does not say how a password becomes a key",
                           "write back a header backup: `safectl header restore " + volume + "`"});
    members::VaultHeader read;
    read.derivation = {.salt = token->salt, .cost = token->cost};
    for (const UserToken& user : user_tokens(header)) read.keyslots.push_back(keyslot_of(user));
    for (const int slot : unnamed_slots(header)) {
        const auto recorded = taken.record.slots.find(std::to_string(slot));
        if (recorded == taken.record.slots.end())
            ++read.others;
        else
            read.keyslots.push_back({.user = recorded->second, .generation = members::no_generation, .slot = slot});
    }
    std::ranges::sort(read.keyslots);
    read.room = room_in(header);
    return read;
}

Result<std::optional<Keyslot>> try_member(Api& api, const Taken& taken, const std::string& object,
                                          std::string_view user, const base::Secret& key) {
    const std::vector<int> slots = slots_of(taken.header, user);
    if (slots.empty()) return std::optional<Keyslot>();
    const Outcome<int> opened = api.try_key(taken.image, {.key = SubKey{&key}, .slots = slots});
    if (!opened) {
        if (opened.error().code == Failure::Code::wrong_key) return std::optional<Keyslot>();
        return base::fail(explain(opened.error(), object, std::string(user)));
    }
    for (const UserToken& token : user_tokens(taken.header))
        if (token.user == user && std::ranges::find(token.slots, *opened) != token.slots.end())
            return std::optional(keyslot_of(token));
    return base::fail({"prove", object, "it opened a keyslot that is nobody's", "report this"});
}

}  // namespace safe::luks
