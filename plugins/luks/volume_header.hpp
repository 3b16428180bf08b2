// The header of one volume of the safe, with all that must agree before it is used: the device, the policy, the record.
// Looking never writes. A header is taken off the device once; what was judged is what is used, and a change is made to
// that copy, kept (backup, record), and only then written to the device. Thread-safe for different volumes; at one
// volume, callers take turns: programs by the safe's lock file, the drivers of one program by Ground::turn_at().
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "plugins/luks/header_device.hpp"
#include "plugins/luks/header_store.hpp"
#include "plugins/luks/luks_api.hpp"
#include "reconciler/driver/places.hpp"
#include "specs/spec.hpp"

namespace safe::luks {

/// What one look found.
struct Sighting {
    enum class What {
        detached,    // nothing is attached; `header` is the record's, when there is one
        blank,       // proven blank, and never anything else that we know of
        unfinished,  // our own format, cut short: it may be begun anew
        foreign,     // something else is there
        unknown,     // it cannot be told, or must not be used; `error` says why
        ours,
    };
    What what = What::unknown;
    base::Error error = {};                       // for foreign and unknown
    std::optional<Header> header = std::nullopt;  // for ours, and detached
    std::optional<Record> record = std::nullopt;  // that agrees with it
    std::string damage = {};                      // of one of the two copies; empty: both are good
    bool cut_short = false;                       // a change reached the device, and settle() has to finish it
};

/// A header off the device, judged, with its keyslot areas: all of them, or for trying keys those that are in use.
struct Taken {
    Header header;
    Record record;
    std::string image;
    std::string damage = {};
};

/// Says the same, but for the salts of its checksums.
[[nodiscard]] bool same(const Header& one, const Header& other);

class VolumeHeader {
 public:
    VolumeHeader(const driver::Places& places, const specs::VolumeSpec& volume);

    [[nodiscard]] const std::string& volume() const { return name_; }
    [[nodiscard]] const std::filesystem::path& device() const { return device_; }
    [[nodiscard]] const HeaderStore& store() const { return store_; }

    [[nodiscard]] Sighting look() const;

    /// An Error unless the header is ours, sound by policy and on record.
    [[nodiscard]] base::Result<Taken> take() const;

    /// The same for trying keys and nothing else.
    [[nodiscard]] base::Result<Taken> take_for_trying() const;
    /// … or, while the volume is not attached, what was last seen on it, provided that it is what is on record.
    [[nodiscard]] base::Result<Taken> take_kept_for_trying() const;
    /// False when there never was a header of ours: a key can then be neither right nor wrong.
    [[nodiscard]] base::Result<bool> is_made() const;

    /// Replaces the header that was taken by `image` (as an Api call returned it): checked, backed up, announced,
    /// written, read back, put on record. Refused, and nothing written, when the device has changed since it was taken,
    /// or a keyslot that stays is not what was written there: the only good copy of it would go.
    [[nodiscard]] base::Result<void> put(const Taken& before, const std::string& image) const;

    /// The UUID that a first header is to have: that of one that was cut short, else a new one.
    [[nodiscard]] base::Result<std::string> uuid_for_create() const;
    /// Puts the first header on a device that is blank, or holds our own unfinished one. Refused otherwise.
    [[nodiscard]] base::Result<void> create(const std::string& image) const;

    /// Finishes what was cut short, and writes both copies anew from the good one.
    [[nodiscard]] base::Result<void> repair() const;

    // --- what a person must vouch for first (header_recovery.cpp)

    /// The header on the device as it is, with its areas, judged by policy and mark alone: for confirming it with a
    /// key.
    [[nodiscard]] base::Result<Taken> take_unrecorded() const;
    /// Why what was taken can never become the record: it is older, or for another volume key.
    [[nodiscard]] base::Result<void> may_accept(const Taken& taken) const;
    /// Makes what was taken the record. Refused where may_accept() is.
    [[nodiscard]] base::Result<void> accept(const Taken& taken) const;
    /// What of the copy that is kept of a header on record is not as on the device, in words; empty when nothing is, or
    /// while a change is under way. accept() keeps it as it is on the device, and the other as a backup.
    [[nodiscard]] std::string kept_otherwise(const Taken& taken) const;
    /// A change whose header had reached the device when somebody ended us is finished, and becomes the record: both
    /// copies are written, and what lies where no keyslot is any more is overwritten. One that never reached the device
    /// is forgotten; but where it was a restore, this is refused until that is gone on with. Nothing to do when nothing
    /// was announced.
    [[nodiscard]] base::Result<void> settle() const;

    /// Both copies and every keyslot area on the device are those of `image`, byte for byte but for checksums.
    [[nodiscard]] base::Result<bool> holds(const Taken& image) const;
    /// Why a header may not be written over what is on the device: it is another volume's header, or there is
    /// something on it that is not ours.
    [[nodiscard]] base::Result<void> may_restore(const Taken& backup) const;
    /// Keeps what lies there, then writes the header over it, with a sequence that is higher than any there was.
    /// Refused where may_restore() is. Ended anywhere, the same call again finishes it. Returns what was kept.
    [[nodiscard]] base::Result<std::filesystem::path> restore(const Taken& backup) const;

    /// Judges a whole backup or image: header, policy and mark.
    [[nodiscard]] base::Result<Taken> judge_image(const std::string& image) const;
    /// The same for a file that holds one.
    [[nodiscard]] base::Result<Taken> take_file(const std::filesystem::path& file) const;

 private:
    [[nodiscard]] Sighting judge(const Copies& copies, const HeaderDevice& device) const;
    [[nodiscard]] Sighting judge_good(const Copies& copies, const Header& header, const std::optional<Record>& record,
                                      const std::optional<Record>& pending) const;
    [[nodiscard]] Sighting judge_damaged(const Copies& copies, const std::optional<Record>& record,
                                         const std::optional<Record>& pending) const;
    [[nodiscard]] Sighting judge_without(const HeaderDevice& device, const std::optional<Record>& record) const;
    [[nodiscard]] Sighting detached() const;
    [[nodiscard]] base::Error changed(const std::vector<std::string>& found) const;
    [[nodiscard]] std::unexpected<base::Error> no_trust(std::string cause) const;
    /// Error unless there is a header, sound by policy and with our mark.
    [[nodiscard]] base::Result<Header> sound(const base::Result<Copies>& copies) const;
    enum class Areas { all, in_use };
    [[nodiscard]] base::Result<Taken> take(Areas areas) const;
    [[nodiscard]] base::Result<std::string> image_of(const Header& header, const HeaderDevice& device,
                                                     Areas areas) const;
    [[nodiscard]] base::Result<void> write(const HeaderDevice& device, const Taken& fresh) const;
    /// What is kept of the header is the last good copy of no keyslot that `fresh` has too.
    [[nodiscard]] base::Result<void> may_replace_kept(const Taken& fresh) const;
    /// Keeps what is kept of the header as a backup where it has a keyslot that `fresh` has not, or has with another
    /// area: it may be the only copy of it.
    [[nodiscard]] base::Result<void> back_up_kept(const Taken& fresh) const;
    /// Without what lies where no keyslot is, which may be half of a change that was cut short.
    [[nodiscard]] base::Result<void> back_up(const Taken& taken) const;
    [[nodiscard]] base::Result<void> may_overwrite(const HeaderDevice& device, const Copies& copies,
                                                   const Taken& backup) const;

    std::string name_;
    std::string subsystem_;
    std::filesystem::path device_;
    bool attached_by_session_;
    bool read_only_;  // nothing is ever written to it
    HeaderStore store_;
};

}  // namespace safe::luks
