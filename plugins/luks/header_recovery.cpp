// The part of VolumeHeader that goes on from what a person has vouched for: a header that is not the one on record, and
// one that is written back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/volume_header.hpp"
#include "reconciler/base/file.hpp"

namespace safe::luks {

using base::Error;
using base::Result;

namespace {

// The format's largest header with room for the largest areas that policy lets through.
constexpr std::size_t backup_limit = std::size_t{160} << 20U;

}  // namespace

Result<Taken> VolumeHeader::take_unrecorded() const {
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::read);
    if (!device) return base::fail(device.error());
    const Result<Copies> copies = device->read_copies();
    if (!copies) return base::fail(copies.error());
    if (!copies->header || !faults_of(*copies->header).empty()) {
        const Sighting seen = judge(*copies, *device);
        return base::fail(seen.error.cause.empty()
                              ? Error{"find a header on", device_.string(), "there is none", "", Error::Kind::refused}
                              : seen.error);
    }
    const Result<std::string> image = image_of(*copies->header, *device, Areas::all);
    if (!image) return base::fail(image.error());
    return judge_image(*image);
}

Result<Taken> VolumeHeader::take_file(const std::filesystem::path& file) const {
    const Result<std::string> image = base::read_file(file, backup_limit);
    if (!image) return base::fail(image.error());
    Result<Taken> taken = judge_image(*image);
    if (taken) return taken;
    Error error = taken.error();
    error.object = file.string();
    return base::fail(std::move(error));
}

Result<void> VolumeHeader::may_accept(const Taken& taken) const {
    const Result<std::optional<Record>> record = store_.record();
    if (!record) return base::fail(record.error());
    if (!*record) return {};
    const Header& known = (*record)->header;
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail(
            {"accept the header of", device_.string(), std::move(cause), std::move(advice), Error::Kind::refused});
    };
    if (taken.header.sequence < known.sequence)
        return refuse(fmt::format("it is an older one: sequence {} after {}", taken.header.sequence, known.sequence),
                      fmt::format("somebody put an old header back, with keys that were revoked since; "
                                  "`safectl header restore {}` writes back the one that was recorded",
                                  name_));
    if (!same_volume_key(known, taken.header))
        return refuse("it is for another volume key: not the volume that was recorded",
                      "find out where the recorded volume is; a new one needs its record moved away");
    return {};
}

Result<void> VolumeHeader::accept(const Taken& taken) const {
    if (Result<void> may = may_accept(taken); !may) return may;
    const Result<std::optional<Record>> record = store_.record();
    if (!record) return base::fail(record.error());
    if (Result<void> kept = back_up_kept(taken); !kept) return kept;
    if (Result<void> kept = back_up(taken); !kept) return kept;
    if (Result<void> announced = store_.announce(record_of(taken.header, *record)); !announced) return announced;
    if (Result<void> kept = store_.keep(taken.image); !kept) return kept;
    return store_.commit();
}

Result<void> VolumeHeader::may_replace_kept(const Taken& fresh) const {
    const Result<Taken> kept = take_file(store_.kept_file());
    if (!kept) return {};  // nothing that could be lost
    const std::vector<std::string> damaged = areas_that_differ(kept->header, kept->image, fresh.header, fresh.image);
    if (damaged.empty()) return {};
    return base::fail(
        {"change the header of", device_.string(),
         fmt::format("keyslot {} is not the same on the device and in {}: one of them is damaged",
                     fmt::join(damaged, ", "), store_.kept_file().string()),
         fmt::format("if its owner's password still opens it, `safectl header accept {0}` keeps what is on "
                     "the device; if not, `safectl header restore {0}` writes back what is kept",
                     name_),
         Error::Kind::refused});
}

std::string VolumeHeader::kept_otherwise(const Taken& taken) const {
    const Result<std::optional<Record>> pending = store_.pending();
    if (!pending || *pending) return {};
    const Result<Taken> kept = take_file(store_.kept_file());
    const std::string file = store_.kept_file().string();
    if (!kept) return fmt::format("{} cannot be used: {}", file, kept.error().cause);
    const std::vector<std::string> slots = areas_that_differ(kept->header, kept->image, taken.header, taken.image);
    if (!slots.empty())
        return fmt::format("keyslot {} in {} is not as on the device; what is there is kept as a backup",
                           fmt::join(slots, ", "), file);
    return same(kept->header, taken.header) ? std::string() : file + " is not the header on record";
}

Result<void> VolumeHeader::back_up_kept(const Taken& fresh) const {
    const Result<Taken> kept = take_file(store_.kept_file());
    if (!kept || holds_all_of(fresh.header, fresh.image, kept->header, kept->image)) return {};
    return back_up(*kept);
}

Result<void> VolumeHeader::settle() const {
    const Result<std::optional<Record>> pending = store_.pending();
    if (!pending) return base::fail(pending.error());
    if (!*pending) return {};
    Result<Taken> now = take();
    if (!now) return base::fail(now.error());
    if (now->record != **pending) {
        // Only a restore keeps what it is going to write before it writes it.
        const Result<Taken> kept = take_file(store_.kept_file());
        if (!kept || !differences(kept->header, **pending).empty()) return store_.withdraw();
        return base::fail({"change the header of", device_.string(), "a restore of it was cut short",
                           fmt::format("run it again: `safectl header restore {}`", name_), Error::Kind::refused});
    }
    if (Result<void> saved = back_up_kept(*now); !saved) return saved;
    if (read_only_) {  // an accept, which writes no device
        if (Result<void> kept = store_.keep(now->image); !kept) return kept;
        return store_.commit();
    }
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::write);
    if (!device) return base::fail(device.error());
    // Who was revoked may still have key material there; the announcement stays until it is gone.
    now->image = without_unused(now->header, now->image);
    return write(*device, *now);
}

Result<bool> VolumeHeader::holds(const Taken& image) const {
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::read);
    if (!device) return base::fail(device.error());
    const Result<Copies> copies = device->read_copies();
    if (!copies) return base::fail(copies.error());
    if (!copies->sound() || !same(*copies->header, image.header)) return false;
    const std::uint64_t begin = 2 * image.header.copy_size;
    const Result<std::string> areas = device->read(begin, image.image.size() - begin);
    if (!areas) return base::fail(areas.error());
    return *areas == std::string_view(image.image).substr(begin);
}

Result<void> VolumeHeader::may_overwrite(const HeaderDevice& device, const Copies& copies, const Taken& backup) const {
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail(
            {"restore the header of", device_.string(), std::move(cause), std::move(advice), Error::Kind::refused});
    };
    const std::string overwrite =
        "name the right device; if nobody needs what is there, overwrite its first 16 MiB "
        "with zeros";
    const Result<std::optional<Record>> record = store_.record();
    if (!record) return base::fail(record.error());
    if (*record && ((*record)->header.uuid != backup.header.uuid || !same_volume_key((*record)->header, backup.header)))
        return refuse("the backup is another volume's: it has not the UUID and volume key on record",
                      "name a backup of this volume");
    if (device.size() < data_offset_of(backup.header)) return refuse("the device ends inside the header", "");
    if (copies.header) {
        // Meddled with it may be; another volume's it must not be.
        if (copies.header->uuid == backup.header.uuid || same_volume_key(*copies.header, backup.header)) return {};
        return refuse(fmt::format("there is another volume on it, of UUID {}", copies.header->uuid), overwrite);
    }
    const bool claims_another = copies.claimed_uuid.size() == backup.header.uuid.size() &&
                                copies.claimed_uuid != backup.header.uuid && copies.claimed_subsystem != subsystem_;
    if (claims_another && std::ranges::all_of(copies.claimed_uuid, [](char c) { return c == '-' || isxdigit(c) != 0; }))
        return refuse(fmt::format("it begins like another volume, of UUID {}", copies.claimed_uuid), overwrite);
    if (*record || copies.claimed_subsystem == subsystem_) return {};
    const Result<bool> blank = device.blank();
    if (!blank) return base::fail(blank.error());
    return *blank ? Result<void>() : refuse("there is something on it, and no record says that it is ours", overwrite);
}

Result<void> VolumeHeader::may_restore(const Taken& backup) const {
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::read);
    if (!device) return base::fail(device.error());
    const Result<Copies> copies = device->read_copies();
    if (!copies) return base::fail(copies.error());
    return may_overwrite(*device, *copies, backup);
}

Result<std::filesystem::path> VolumeHeader::restore(const Taken& backup) const {
    Taken fresh = backup;
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::write);
    if (!device) return base::fail(device.error());
    const Result<Copies> copies = device->read_copies();
    if (!copies) return base::fail(copies.error());
    if (Result<void> may = may_overwrite(*device, *copies, backup); !may) return base::fail(may.error());
    const Result<std::optional<Record>> record = store_.record();
    if (!record) return base::fail(record.error());
    const Result<std::optional<Record>> pending = store_.pending();
    if (!pending) return base::fail(pending.error());
    // The sequence goes on from the highest there was: what is put back by its name is the newest state, not an old
    // one.
    for (const std::optional<Record>* known : {&*record, &*pending})
        if (*known) fresh.header.sequence = std::max(fresh.header.sequence, (*known)->header.sequence);
    if (copies->header && faults_of(*copies->header).empty())
        fresh.header.sequence = std::max(fresh.header.sequence, copies->header->sequence);
    ++fresh.header.sequence;
    const Result<std::string> both = render_both(fresh.header);
    if (!both) return base::fail(both.error());
    fresh.image.replace(0, both->size(), *both);
    const Result<std::string> there = device->read(0, fresh.image.size());
    if (!there) return base::fail(there.error());
    Result<std::filesystem::path> replaced = store_.keep_replaced(*there);
    if (!replaced) return replaced;
    fresh.record = record_of(fresh.header, *record);
    if (Result<void> announced = store_.announce(fresh.record); !announced) return base::fail(announced.error());
    if (Result<void> saved = back_up_kept(fresh); !saved) return base::fail(saved.error());
    // Before the device: ended from here on, this is what a restore without a name goes on with.
    if (Result<void> kept = store_.keep(fresh.image); !kept) return base::fail(kept.error());
    if (Result<void> written = write(*device, fresh); !written) return base::fail(written.error());
    return replaced;
}

}  // namespace safe::luks
