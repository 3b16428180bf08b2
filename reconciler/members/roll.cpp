#include "reconciler/members/roll.hpp"

#include <algorithm>
#include <map>

namespace safe::members {
namespace {

using State = RollEntry::State;

State state_of(const RollEntry& entry, bool directory_known) {
    if (!entry.in_spec) return State::leaving;
    if (entry.keyslots.empty() && (!directory_known || !entry.entry || !entry.entry->generation)) return State::pending;
    const bool unfinished = std::ranges::any_of(entry.keyslots, [](const Keyslot& one) { return !one.slot; });
    if (unfinished || entry.keyslots.size() > 1) return State::changing;
    if (!entry.keyslots.empty() && !entry.keyslots.front().opens()) return State::unnamed;
    if (!directory_known) return State::unknown;
    if (!entry.entry || !entry.entry->generation) return State::half;
    return !entry.keyslots.empty() && entry.keyslots.front().generation == entry.entry->generation ? State::enrolled
                                                                                                   : State::out_of_step;
}

}  // namespace

std::string_view to_text(State state) {
    switch (state) {
        case State::enrolled:
            return "enrolled";
        case State::pending:
            return "pending enrolment";
        case State::changing:
            return "a change to finish";
        case State::half:
            return "not in the directory";
        case State::out_of_step:
            return "keyslot missing";
        case State::unnamed:
            return "token missing";
        case State::leaving:
            return "leaving";
        case State::unknown:
            break;
    }
    return "unknown";
}

base::Result<Roll> call_roll(VaultKeys& vault, Directory& directory, std::span<const Member> roster) {
    const base::Result<VaultHeader> header = vault.read();
    if (!header) return base::fail(header.error());
    const base::Result<std::vector<DirectoryEntry>> listed = directory.list();
    std::map<std::string, RollEntry, std::less<>> entries;
    for (const Member& member : roster) {
        entries[member.name].in_spec = true;
        entries[member.name].super = member.super;
    }
    for (const Keyslot& keyslot : header->keyslots) entries[keyslot.user].keyslots.push_back(keyslot);
    if (listed)
        for (const DirectoryEntry& entry : *listed) entries[entry.user].entry = entry;
    // One slot stays free for changing passwords.
    Roll roll{.entries = {}, .others = header->others, .room = std::max(0, header->room - 1)};
    if (!listed) roll.directory_out_of_reach = listed.error();
    for (auto& [user, entry] : entries) {
        entry.user = user;
        entry.state = state_of(entry, listed.has_value());
        roll.entries.push_back(std::move(entry));
    }
    return roll;
}

}  // namespace safe::members
