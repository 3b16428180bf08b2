#include "plugins/luks/volume_header.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plugins/luks/header_policy.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;

Sighting unknown(Error error) { return {.what = Sighting::What::unknown, .error = std::move(error)}; }

Reader reader_of(const std::string& image) {
    return [&image](std::uint64_t offset, std::uint64_t size) {
        return Result<std::string>(offset < image.size() ? image.substr(offset, size) : std::string());
    };
}

std::string damage_of(const Copies& copies) {
    if (!copies.primary_fault.empty()) return "the first copy: " + copies.primary_fault;
    if (!copies.secondary_fault.empty()) return "the second copy: " + copies.secondary_fault;
    return {};
}

}  // namespace

bool same(const Header& one, const Header& other) {
    return one.uuid == other.uuid && one.label == other.label && one.subsystem == other.subsystem &&
           one.sequence == other.sequence && one.copy_size == other.copy_size && one.metadata == other.metadata;
}

VolumeHeader::VolumeHeader(const driver::Places& places, const specs::VolumeSpec& volume)
    : name_(volume.name),
      subsystem_(places.subsystem(volume.name)),
      device_(places.device(volume)),
      attached_by_session_(volume.iscsi.has_value()),
      read_only_(*volume.access == specs::Access::read_only),
      store_(places.headers(volume.name)) {}

Sighting VolumeHeader::look() const {
    const Result<bool> there = HeaderDevice::exists(device_);
    if (!there) return unknown(there.error());
    if (!*there) {
        if (attached_by_session_) return detached();
        return unknown({"look at", device_.string(), "there is no such file or device",
                        "make it, or correct the volume's place in the spec"});
    }
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::read);
    if (!device) return unknown(device.error());
    const Result<Copies> copies = device->read_copies();
    if (!copies) return unknown(copies.error());
    return judge(*copies, *device);
}

Sighting VolumeHeader::detached() const {
    Result<std::optional<Record>> record = store_.record();
    if (!record) return unknown(record.error());
    Sighting sighting{.what = Sighting::What::detached};
    if (*record) {
        sighting.header = (*record)->header;
        sighting.record = *std::move(record);
    }
    return sighting;
}

Sighting VolumeHeader::judge(const Copies& copies, const HeaderDevice& device) const {
    const Result<std::optional<Record>> record = store_.record();
    if (!record) return unknown(record.error());
    const Result<std::optional<Record>> pending = store_.pending();
    if (!pending) return unknown(pending.error());
    if (!copies.any_magic) return judge_without(device, *record);
    return copies.header ? judge_good(copies, *copies.header, *record, *pending)
                         : judge_damaged(copies, *record, *pending);
}

/// No LUKS header of any kind.
Sighting VolumeHeader::judge_without(const HeaderDevice& device, const std::optional<Record>& record) const {
    if (record) {
        const std::filesystem::path backup = store_.best_copy();
        return unknown({"find the header on", device_.string(), "it is gone, and this volume is on record with one",
                        backup.empty() ? "is it the right device?"
                                       : fmt::format("is it the right device? If so, `safectl header restore {}` "
                                                     "writes back {}",
                                                     name_, backup.string())});
    }
    const Result<bool> blank = device.blank();
    if (!blank) return unknown(blank.error());
    if (*blank) return {.what = Sighting::What::blank};
    return {.what = Sighting::What::foreign,
            .error = {"use", device_.string(), "there is something on it that is not ours",
                      "name the right device; if nobody needs what is there, overwrite it with zeros"}};
}

Sighting VolumeHeader::judge_damaged(const Copies& copies, const std::optional<Record>& record,
                                     const std::optional<Record>& pending) const {
    if (!record && pending && copies.claimed_subsystem == subsystem_ && copies.claimed_uuid == pending->header.uuid)
        return {.what = Sighting::What::unfinished};
    if (!record && copies.claimed_subsystem != subsystem_)
        return {.what = Sighting::What::foreign,
                .error = {"use", device_.string(), "there is a LUKS header on it that is not ours",
                          "name the right device"}};
    const std::filesystem::path backup = store_.best_copy();
    return unknown({"read the header of", device_.string(),
                    fmt::format("both copies are damaged: the first, {}; the second, {}", copies.primary_fault,
                                copies.secondary_fault),
                    backup.empty()
                        ? "without a header nothing of it can be read; look for a backup elsewhere"
                        : fmt::format("`safectl header restore {}` writes back {}", name_, backup.string())});
}

Sighting VolumeHeader::judge_good(const Copies& copies, const Header& header, const std::optional<Record>& record,
                                  const std::optional<Record>& pending) const {
    if (header.subsystem != subsystem_) {
        if (record)
            return unknown(changed({fmt::format("it bears the mark {:?}, not {:?}", header.subsystem, subsystem_)}));
        return {.what = Sighting::What::foreign,
                .error = {"use", device_.string(),
                          header.subsystem.empty() ? "it holds a LUKS volume without our mark"
                                                   : fmt::format("it holds the LUKS volume {:?}", header.subsystem),
                          "name the right device"}};
    }
    if (!record && object_in(header.metadata, "keyslots").empty()) return {.what = Sighting::What::unfinished};
    if (const std::vector<std::string> faults = faults_of(header); !faults.empty())
        return unknown({"trust the header of", device_.string(), fmt::format("it {}", fmt::join(faults, "; it ")),
                        "the provider or another tool changed it; compare with the backup beside its record"});
    for (const std::optional<Record>* known : {&record, &pending})
        if (*known && differences(header, **known).empty())
            return {.what = Sighting::What::ours,
                    .error = {},
                    .header = header,
                    .record = *known,
                    .damage = damage_of(copies),
                    .cut_short = known == &pending};
    if (record) return unknown(changed(differences(header, *record)));
    return unknown(
        {"trust the header of", device_.string(), "this hypervisor has no record of it",
         fmt::format("confirm with a member's key that it is the right one: `safectl header accept {}`", name_)});
}

Error VolumeHeader::changed(const std::vector<std::string>& found) const {
    return {
        .attempt = "trust the header of",
        .object = device_.string(),
        .cause = fmt::format("it has changed since it was recorded: {}", fmt::join(found, ", ")),
        .advice = fmt::format("find out who did it; a member's key confirms it: `safectl header accept {}`", name_)};
}

Result<std::string> VolumeHeader::image_of(const Header& header, const HeaderDevice& device, Areas which) const {
    const std::uint64_t end = which == Areas::all ? end_of_areas(header) : end_of_keyslots(header);
    Result<std::string> copies = render_both(header);
    if (!copies) return copies;
    Result<std::string> areas = device.read(2 * header.copy_size, end - 2 * header.copy_size);
    if (!areas) return areas;
    if (areas->size() + 2 * header.copy_size != end)
        return base::fail({"read the keyslots of", device_.string(), "the device ends inside them", ""});
    return *copies + *areas;
}

Result<Taken> VolumeHeader::take() const { return take(Areas::all); }
Result<Taken> VolumeHeader::take_for_trying() const { return take(Areas::in_use); }

Result<Taken> VolumeHeader::take(Areas areas) const {
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::read);
    if (!device) return base::fail(device.error());
    const Result<Copies> copies = device->read_copies();
    if (!copies) return base::fail(copies.error());
    Sighting seen = judge(*copies, *device);
    if (seen.what != Sighting::What::ours || !seen.header || !seen.record)
        return base::fail(seen.error.cause.empty()
                              ? Error{"use", device_.string(), "there is no header of ours on it", "plan again"}
                              : seen.error);
    Result<std::string> image = image_of(*seen.header, *device, areas);
    if (!image) return base::fail(image.error());
    return Taken{.header = *std::move(seen.header),
                 .record = *std::move(seen.record),
                 .image = *std::move(image),
                 .damage = std::move(seen.damage)};
}

Result<Taken> VolumeHeader::take_kept_for_trying() const {
    const Result<bool> there = HeaderDevice::exists(device_);
    if (!there) return base::fail(there.error());
    if (*there || !attached_by_session_) return take_for_trying();
    const Result<std::optional<Record>> record = store_.record();
    if (!record) return base::fail(record.error());
    const Result<std::optional<Record>> pending = store_.pending();
    if (!pending) return base::fail(pending.error());
    const Result<HeaderDevice> kept = HeaderDevice::open(store_.kept_file(), HeaderDevice::Access::read);
    if (!kept) return base::fail(kept.error());
    const Result<Header> header = sound(kept->read_copies());
    if (!header) return base::fail(header.error());
    const Result<std::string> image = image_of(*header, *kept, Areas::in_use);
    if (!image) return base::fail(image.error());
    for (const std::optional<Record>* known : {&*record, &*pending})
        if (*known && differences(*header, **known).empty())
            return Taken{.header = *header, .record = **known, .image = *image};
    return base::fail({"try a key on", "container/" + name_, "the copy kept of its header is not the one on record",
                       "attach the volume: open the safe, or apply"});
}

Result<bool> VolumeHeader::is_made() const {
    const Sighting seen = look();
    switch (seen.what) {
        case Sighting::What::blank:
        case Sighting::What::unfinished:
            return false;
        case Sighting::What::detached:
            return seen.record.has_value();
        default:
            return true;
    }
}

std::unexpected<Error> VolumeHeader::no_trust(std::string cause) const {
    return base::fail({"trust the header of", device_.string(), std::move(cause), "", Error::Kind::refused});
}

Result<Header> VolumeHeader::sound(const Result<Copies>& copies) const {
    if (!copies) return base::fail(copies.error());
    if (!copies->header) return no_trust("it is damaged");
    const Header& header = *copies->header;
    if (header.subsystem != subsystem_) return no_trust(fmt::format("it bears the mark {:?}", header.subsystem));
    if (const std::vector<std::string> faults = faults_of(header); !faults.empty())
        return no_trust(fmt::format("it {}", fmt::join(faults, "; it ")));
    return header;
}

Result<Taken> VolumeHeader::judge_image(const std::string& image) const {
    const Result<Header> header = sound(luks::read_copies(reader_of(image)));
    if (!header) return base::fail(header.error());
    const std::uint64_t end = end_of_areas(*header);
    if (image.size() < end) return no_trust("its keyslots are cut off");
    const Result<std::string> rendered = render_both(*header);
    if (!rendered) return base::fail(rendered.error());
    return Taken{.header = *header,
                 .record = record_of(*header, std::nullopt),
                 .image = *rendered + image.substr(2 * header->copy_size, end - 2 * header->copy_size)};
}

Result<void> VolumeHeader::back_up(const Taken& taken) const {
    return store_.back_up(without_unused(taken.header, taken.image), taken.header.sequence);
}

Result<void> VolumeHeader::write(const HeaderDevice& device, const Taken& fresh) const {
    if (Result<void> written = device.write(fresh.image, fresh.header); !written) return written;
    const Result<Copies> again = device.read_copies();
    if (!again) return base::fail(again.error());
    if (!again->sound() || !same(*again->header, fresh.header))
        return base::fail({"verify the header of", device_.string(), "the device does not give back what was written",
                           "look at its side; the header before is kept beside the record"});
    if (Result<void> kept = store_.keep(fresh.image); !kept) return kept;
    return store_.commit();
}

Result<void> VolumeHeader::put(const Taken& before, const std::string& image) const {
    Result<Taken> fresh = judge_image(image);
    if (!fresh) return base::fail(fresh.error());
    if (fresh->header.uuid != before.header.uuid || fresh->header.sequence <= before.header.sequence ||
        !same_volume_key(fresh->header, before.header))
        return base::fail({"change the header of", device_.string(), "the new one is not a change of the old", "",
                           Error::Kind::refused});
    if (!spares(before.header, before.image, fresh->header, fresh->image))
        return base::fail({"change the header of", device_.string(),
                           "a keyslot of the new one lies where one of the old still does", "", Error::Kind::refused});
    if (Result<void> settled = settle(); !settled) return settled;
    if (Result<void> may = may_replace_kept(*fresh); !may) return may;
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::write);
    if (!device) return base::fail(device.error());
    if (Result<void> kept = back_up(before); !kept) return kept;
    // Where no keyslot lies, what was taken may be older than what settle() has just overwritten.
    fresh->image = without_unused(fresh->header, fresh->image);
    fresh->record = record_of(fresh->header, before.record);
    if (Result<void> announced = store_.announce(fresh->record); !announced) return announced;
    const Result<Copies> now = device->read_copies();
    if (!now || !now->header || !same(*now->header, before.header)) {
        static_cast<void>(store_.withdraw());
        return base::fail(now ? Error{"change the header of", device_.string(), "it has changed since it was read",
                                      "look at a new plan and apply again", Error::Kind::refused}
                              : now.error());
    }
    return write(*device, *fresh);
}

Result<std::string> VolumeHeader::uuid_for_create() const {
    const Result<std::optional<Record>> pending = store_.pending();
    if (!pending) return base::fail(pending.error());
    // What was cut short is known by its UUID: with another one it would be nobody's.
    if (*pending) return (*pending)->header.uuid;
    const Result<base::Secret> random = base::Secret::random(16);
    if (!random) return base::fail(random.error());
    std::string uuid;
    for (std::size_t i = 0; i < random->size(); ++i) {
        auto byte = std::to_integer<unsigned>(random->bytes()[i]);
        if (i == 6) byte = (byte & 0x0fU) | 0x40U;  // version 4
        if (i == 8) byte = (byte & 0x3fU) | 0x80U;  // of RFC 4122
        uuid += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte);
    }
    return uuid;
}

Result<void> VolumeHeader::create(const std::string& image) const {
    Result<Taken> fresh = judge_image(image);
    if (!fresh) return base::fail(fresh.error());
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::write);
    if (!device) return base::fail(device.error());
    if (device->size() < data_offset_of(fresh->header) + 16 * mebibyte)
        return base::fail({"format", device_.string(), "it is too small", "use one of at least 32 MiB"});
    if (Result<void> announced = store_.announce(fresh->record); !announced) return announced;
    // Looked at once more with the announcement already made, so that nothing lies between this and the first write but
    // this process.
    const Result<Copies> copies = device->read_copies();
    if (!copies) return base::fail(copies.error());
    const Sighting seen = judge(*copies, *device);
    const bool ours_unfinished = seen.what == Sighting::What::unfinished;
    if (seen.what != Sighting::What::blank && !ours_unfinished)
        return base::fail({"format", device_.string(), "it is not blank any more", "plan again", Error::Kind::refused});
    if (Result<void> claimed = device->claim(fresh->image); !claimed) return claimed;
    return write(*device, *fresh);
}

Result<void> VolumeHeader::repair() const {
    if (Result<void> settled = settle(); !settled) return settled;
    const Result<Taken> good = take();
    if (!good) return base::fail(good.error());
    if (good->damage.empty()) return {};
    const Result<HeaderDevice> device = HeaderDevice::open(device_, HeaderDevice::Access::write);
    if (!device) return base::fail(device.error());
    if (Result<void> kept = back_up_kept(*good); !kept) return kept;
    if (Result<void> kept = back_up(*good); !kept) return kept;
    return write(*device, *good);
}

}  // namespace safe::luks
