// HeaderCare: what `safectl header` needs of one volume's header, and nothing more. Implemented over LUKS2 in
// plugins/luks; used by reconciler/cli, which knows no header. A header that is not the one on record is only trusted,
// and one is only written back, when a key has opened it: a member's for the vault; for another volume the one in the
// mounted vault, or, while the vault is not mounted, a member's on the vault. Being root is not enough. Callers hold
// the safe's lock file for everything but list(). Texts come from headers that nobody has vouched for yet: they are
// made printable before they are shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/members/vault_keys.hpp"

namespace safe::members {

/// One header, on the device or kept beside the record.
struct SeenHeader {
    std::string what;             // "device", "record", "under way", "copy", "backup", "replaced"
    std::filesystem::path place;  // device or file
    std::string verdict;          // "on record", or what is wrong with it
    std::optional<std::uint64_t> sequence = std::nullopt;  // nullopt: there is no header that could be read
    std::string uuid = {};
    std::vector<std::string> members = {};  // who has a keyslot in it, by its tokens
    int others = 0;                         // keyslots that no token names
};

/// A header that is to be trusted or written back, read once. What was read is what is tried and used. The HeaderCare
/// that it came from outlives it.
class HeaderClaim : public KeyTrial {
 public:
    /// What a person should know before vouching for it, a sentence each.
    [[nodiscard]] virtual const std::vector<std::string>& told() const = 0;
    /// What a member's key must be proved on, with this claim as the trial; nullopt when nobody needs to: its own key
    /// has opened it, or there is nothing to do.
    [[nodiscard]] virtual const std::optional<VaultHeader>& needs() const = 0;
    /// Refused, and nothing touched, unless a prove() on this object has opened a keyslot, where one is needed. Says
    /// what was done.
    [[nodiscard]] virtual base::Result<std::string> carry_out() = 0;
};

class HeaderCare {
 public:
    HeaderCare() = default;
    HeaderCare(const HeaderCare&) = delete;
    HeaderCare& operator=(const HeaderCare&) = delete;
    HeaderCare(HeaderCare&&) = delete;
    HeaderCare& operator=(HeaderCare&&) = delete;
    virtual ~HeaderCare() = default;

    /// The device first, then what is kept, the newest first. Only looks. What cannot be read is an entry that says so.
    [[nodiscard]] virtual std::vector<SeenHeader> list() = 0;

    /// Writes the header on the device, which must be on record, with its keyslot areas to a new file, 0600. Refused:
    /// there is something of that name.
    [[nodiscard]] virtual base::Result<void> back_up(const std::filesystem::path& out) = 0;

    /// The header on the device, to be put on record. Refused: an older one, one for another volume key, one that
    /// breaks the policy.
    [[nodiscard]] virtual base::Result<std::unique_ptr<HeaderClaim>> to_accept() = 0;

    /// A backup (empty: the best one kept), to be written over what is on the device. Refused: another volume's, a
    /// volume that is open, a device that holds what is not ours.
    [[nodiscard]] virtual base::Result<std::unique_ptr<HeaderClaim>> to_restore(const std::filesystem::path& from) = 0;
};

}  // namespace safe::members
