// Who is a member and who can open, from the three places that know: the spec, the vault's header, the directory.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/members/parts.hpp"

namespace safe::members {

struct RollEntry {
    enum class State {
        enrolled,     // the keyslot is the one that the directory names
        pending,      // in the spec, no keyslot yet
        changing,     // more than one keyslot, or an unfinished one: the next command or apply finishes it
        half,         // a keyslot, and the directory names none: an enrolment cut short, or a new directory
        out_of_step,  // the directory names a generation whose keyslot is not there
        unnamed,      // a keyslot that only the record knows as theirs: its token is gone
        leaving,      // not in the spec, and still something there: the next apply takes it away
        unknown,      // the directory could not be asked, and it would decide
    };
    std::string user;
    bool in_spec = false;
    bool super = false;
    std::vector<Keyslot> keyslots;
    std::optional<DirectoryEntry> entry;
    State state = State::unknown;
};

[[nodiscard]] std::string_view to_text(RollEntry::State state);

struct Roll {
    std::vector<RollEntry> entries;  // by name
    int others = 0;                  // keyslots that are nobody's we know
    int room = 0;                    // for how many more members
    std::optional<base::Error> directory_out_of_reach = std::nullopt;
};

/// Only reads. An Error when the header cannot be read: without it nothing is known.
[[nodiscard]] base::Result<Roll> call_roll(VaultKeys& vault, Directory& directory, std::span<const Member> roster);

}  // namespace safe::members
