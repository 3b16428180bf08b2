#include "plugins/luks/revocation.hpp"

#include <algorithm>
#include <set>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/tokens.hpp"

namespace safe::luks {

std::vector<int> slots_owned(const Header& header, const Record& record, const std::string& user) {
    std::set<int> owned;
    for (const int slot : slots_of(header, user)) owned.insert(slot);
    for (const auto& [slot, owner] : record.slots)
        if (owner == user && object_in(header.metadata, "keyslots").contains(slot)) owned.insert(std::stoi(slot));
    return {owned.begin(), owned.end()};
}

std::vector<int> slots_without_token(const Header& header, const Record& record, const std::string& user) {
    std::vector<int> slots = unnamed_slots(header);
    std::erase_if(slots, [&](int slot) {
        const auto recorded = record.slots.find(std::to_string(slot));
        return recorded == record.slots.end() || recorded->second != user;
    });
    return slots;
}

std::vector<std::string> owners(const Header& header, const Record& record) {
    std::set<std::string> names;
    for (const UserToken& token : user_tokens(header))
        if (!token.slots.empty()) names.insert(token.user);
    for (const auto& [slot, owner] : record.slots)
        if (object_in(header.metadata, "keyslots").contains(slot)) names.insert(owner);
    return {names.begin(), names.end()};
}

std::optional<std::string> loss(const Header& header, const Record& record, const std::vector<int>& slots,
                                const std::vector<specs::UserSpec>& users) {
    // A slot that is nobody's may not open anything: it does not count as one that is left.
    bool one_left = false;
    bool super_left = users.empty();
    for (const std::string& name : owners(header, record)) {
        const std::vector<int> owned = slots_owned(header, record, name);
        const bool keeps =
            std::ranges::any_of(owned, [&](int slot) { return std::ranges::find(slots, slot) == slots.end(); });
        if (!keeps) continue;
        one_left = true;
        const auto declared = std::ranges::find(users, name, &specs::UserSpec::name);
        if (declared != users.end() && *declared->super) super_left = true;
    }
    if (!one_left) return "the last keyslot that opens the vault";
    if (!super_left) return "the last keyslot of a super-user";
    return std::nullopt;
}

}  // namespace safe::luks
