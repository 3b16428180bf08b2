#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/tokens.hpp"

namespace safe::luks {

using base::Result;

std::filesystem::path Ground::key_file(const specs::VolumeSpec& volume) const {
    return setting.places.volume_key(vault()->name, volume.name);
}

std::unique_lock<std::mutex> Ground::turn_at(const specs::VolumeSpec& volume) const {
    std::mutex* header = nullptr;
    {
        const std::lock_guard lock(turns->guard);
        header = &turns->by_volume[volume.name];
    }
    return std::unique_lock(*header);
}

Sighting Ground::look(const specs::VolumeSpec& volume) const {
    const std::unique_lock turn = turn_at(volume);
    return header(volume).look();
}

Result<Unlock> Ground::unlock(const specs::VolumeSpec& volume, const Header& header) const {
    if (!is_vault(volume)) {
        if (vault() == nullptr)
            return base::fail({"open", "volume " + volume.name, "this safe has no vault that could hold its key",
                               "declare a volume with role: vault"});
        const std::filesystem::path file = key_file(volume);
        struct stat status{};
        if (::lstat(file.c_str(), &status) != 0)
            return base::fail({"open", "volume " + volume.name,
                               fmt::format("its key {} cannot be read: {}", file.string(), base::errno_text(errno)),
                               errno == ENOENT
                                   ? "its key is gone from the vault, and nothing else opens it: put it back "
                                     "from a backup of the vault"
                                   : ""});
        return Unlock{.key = KeyFile{file}, .slots = all_slots(header)};
    }
    const driver::MemberKey* member = setting.keys.member();
    if (member == nullptr)
        return base::fail({"open", "volume " + volume.name, "nobody has given a key", "give a member's password"});
    const std::optional<VaultToken> token = vault_token(header);
    if (!token)
        return base::fail({"open", "volume " + volume.name,
                           "its header does not say how a password becomes a key (no sound token safe-vault)",
                           "write back a header backup: `safectl header restore " + volume.name + "`"});
    std::vector<int> slots = slots_of(header, member->user);
    if (slots.empty())
        return base::fail({"open", "volume " + volume.name, member->user + " has no keyslot in it",
                           "a member who has one enrols them: `safectl user enrol " + member->user + "`"});
    // Derived already, unless the header is another one by now.
    const std::optional<driver::DerivedKey>& derived = member->derived;
    if (derived && derived->salt == token->salt && derived->cost == token->cost)
        return Unlock{.key = SubKey{&derived->luks}, .slots = std::move(slots)};
    return Unlock{
        .key =
            MemberPassword{
                .user = member->user, .password = &member->password, .salt = token->salt, .cost = token->cost},
        .slots = std::move(slots)};
}

std::vector<int> slots_of(const Header& header, std::string_view user) {
    std::vector<int> slots;
    const std::vector<UserToken> tokens = user_tokens(header);
    // Sorted by generation; the newest is the likeliest.
    for (auto token = tokens.rbegin(); token != tokens.rend(); ++token)
        if (token->user == user) slots.insert(slots.end(), token->slots.begin(), token->slots.end());
    return slots;
}

std::vector<int> all_slots(const Header& header) {
    std::vector<int> slots;
    for (int slot = 0; slot < static_cast<int>(slot_limit); ++slot)
        if (object_in(header.metadata, "keyslots").contains(std::to_string(slot))) slots.push_back(slot);
    return slots;
}

std::vector<int> unnamed_slots(const Header& header) {
    std::vector<int> slots = all_slots(header);
    for (const UserToken& token : user_tokens(header))
        for (const int named : token.slots) std::erase(slots, named);
    return slots;
}

base::Error explain(const Failure& failure, const std::string& object, const std::string& whose) {
    base::Error error = failure.error;
    error.object = object;
    switch (failure.code) {
        case Failure::Code::wrong_key:
            error.cause = whose.empty() ? "its key from the vault does not open it"
                                        : fmt::format("wrong password, or not {}'s", whose);
            error.advice = whose.empty() ? "the key or the header was exchanged; compare with their backups"
                                         : "try again; passwords are never shown nor kept";
            break;
        case Failure::Code::out_of_memory:
            if (!error.cause.starts_with("out of memory")) error.cause = "out of memory: " + error.cause;
            break;
        case Failure::Code::in_use:
        case Failure::Code::other:
            break;
    }
    return error;
}

}  // namespace safe::luks
