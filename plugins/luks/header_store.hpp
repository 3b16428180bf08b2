// What we remember of a volume's header, on the hypervisor's own disk and for root alone, below Places::headers():
//
//   record.json       the header as we last left it
//   pending.json      the header as the change under way will leave it: written before the device is touched
//   header.img        the same with its keyslot areas: to try a key on while the volume is away, and to restore
//   backup-<n>.img    header and keyslot areas before each change, n being the sequence they had; the last eight
//                     of each UUID: those of a volume that was here before count for themselves. Never overwritten:
//                     another one of the same sequence becomes backup-<n>-2.img
//   replaced-<n>.img  what lay where a header was restored to, whatever it was, byte for byte; the last eight
//
// A header on the device that equals neither record nor pending was changed by somebody else. No secrets: a header
// holds keys in encrypted form only, and a backup opens with the same passwords as the volume did when it was made.
// Thread-safe for different volumes.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/luks/header_image.hpp"
#include "reconciler/base/result.hpp"

namespace safe::luks {

struct Record {
    Header header;                             // all of it but the salt of its checksum
    std::map<std::string, std::string> slots;  // whose each keyslot is, even if its token should vanish: "0" → "alice"
    bool operator==(const Record&) const = default;
};

/// From a header that we have just made; `before` tells whose slots without a token are.
[[nodiscard]] Record record_of(const Header& header, const std::optional<Record>& before);

/// Both open with the same volume key: libcryptsetup compares what a keyslot holds with this digest.
[[nodiscard]] bool same_volume_key(const Header& one, const Header& other);

/// What differs, in words for people; empty when the header is the one on record.
[[nodiscard]] std::vector<std::string> differences(const Header& header, const Record& record);

class HeaderStore {
 public:
    using Numbered = std::pair<std::uint64_t, std::filesystem::path>;

    explicit HeaderStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

    /// nullopt when there is none. An Error when there is one that cannot be read: unknown, never absent.
    [[nodiscard]] base::Result<std::optional<Record>> record() const;
    [[nodiscard]] base::Result<std::optional<Record>> pending() const;

    /// Durable when it returns.
    [[nodiscard]] base::Result<void> announce(const Record& after) const;
    /// Makes what was announced the record; nothing to do when nothing was.
    [[nodiscard]] base::Result<void> commit() const;
    /// Forgets what was announced; nothing to do when nothing was.
    [[nodiscard]] base::Result<void> withdraw() const;
    /// What the device was just seen to hold: header and keyslot areas.
    [[nodiscard]] base::Result<void> keep(const std::string& image) const;
    [[nodiscard]] std::filesystem::path kept_file() const { return folder_ / "header.img"; }
    /// `image` is header and keyslot areas. Keeps this one and the last before it of its UUID, eight in all, whatever
    /// has a higher sequence, and none twice; never overwrites one.
    [[nodiscard]] base::Result<void> back_up(const std::string& image, std::uint64_t sequence) const;
    /// By the sequence that their names say, and of one sequence the first that was made last: it is what we wrote.
    [[nodiscard]] std::vector<Numbered> backups() const;
    /// Of these, the ones of the volume that is on record, or will be; all of them when nothing is.
    [[nodiscard]] std::vector<Numbered> backups_on_record() const;
    /// What a restore is about to overwrite; returns the file. Keeps the last eight.
    [[nodiscard]] base::Result<std::filesystem::path> keep_replaced(const std::string& bytes) const;
    [[nodiscard]] std::vector<Numbered> replaced() const;
    /// What restores with the least loss: header.img, else the newest backup; empty when there is neither of the volume
    /// on record.
    [[nodiscard]] std::filesystem::path best_copy() const;

 private:
    [[nodiscard]] base::Result<std::optional<Record>> load(const std::string& name) const;
    [[nodiscard]] base::Result<void> prepare() const;
    [[nodiscard]] std::string known_uuid() const;
    [[nodiscard]] std::vector<Numbered> numbered(std::string_view prefix) const;

    std::filesystem::path folder_;
};

}  // namespace safe::luks
