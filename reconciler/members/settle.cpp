#include "reconciler/members/settle.hpp"

#include <algorithm>
#include <map>

namespace safe::members {

using base::Result;

Result<Done> settle(VaultKeys& vault, Directory& directory) {
    if (Result<void> finished = vault.finish(); !finished) return base::fail(finished.error());
    const Result<VaultHeader> header = vault.read();
    if (!header) return base::fail(header.error());
    std::map<std::string, std::vector<Generation>> finished;
    for (const Keyslot& keyslot : header->keyslots) {
        if (keyslot.slot) {
            finished[keyslot.user].push_back(keyslot.generation);
        } else if (Result<void> removed = vault.remove(keyslot.user, keyslot.generation); !removed) {
            return base::fail(removed.error());
        }
    }
    Done done;
    for (const auto& [user, generations] : finished) {
        if (generations.size() < 2) continue;
        const Result<std::optional<DirectoryEntry>> entry = directory.find(user);
        if (!entry) {
            done.waits = entry.error();
            continue;
        }
        const std::optional<Generation> counts = *entry ? (*entry)->generation : std::nullopt;
        if (!counts || std::ranges::find(generations, *counts) == generations.end()) continue;
        // A change that nobody confirmed may arrive yet, and would then name a keyslot that is gone.
        if (const Result<void> fenced = directory.fence(user, counts); !fenced) {
            done.waits = fenced.error();
            continue;
        }
        for (const Generation generation : generations)
            if (generation != *counts)
                if (Result<void> removed = vault.remove(user, generation); !removed) return base::fail(removed.error());
    }
    return done;
}

}  // namespace safe::members
