// What there is of one volume's header, and in which state each is, in words for people.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/header_care.hpp"
#include "plugins/luks/revocation.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/file.hpp"

namespace safe::luks {
namespace {

using base::Result;
using members::SeenHeader;
namespace fs = std::filesystem;

void describe(SeenHeader& seen, const Header& header) {
    seen.sequence = header.sequence;
    seen.uuid = header.uuid;
    for (const UserToken& token : user_tokens(header)) {
        const bool known = std::ranges::find(seen.members, token.user) != seen.members.end();
        if (!token.slots.empty() && !known) seen.members.push_back(token.user);
    }
    seen.others = static_cast<int>(unnamed_slots(header).size());
}

SeenHeader seen_device(const VolumeHeader& header) {
    const Sighting sighting = header.look();
    SeenHeader seen{.what = "device", .place = header.device(), .verdict = in_words(sighting)};
    // Also when it must not be used: whose header it claims to be helps to find out what happened.
    if (const Result<HeaderDevice> device = HeaderDevice::open(header.device(), HeaderDevice::Access::read); device)
        if (const Result<Copies> copies = device->read_copies(); copies && copies->header)
            describe(seen, *copies->header);
    return seen;
}

void add_record(std::vector<SeenHeader>& all, const std::string& what, const fs::path& place,
                const Result<std::optional<Record>>& record) {
    if (record && !*record) return;
    SeenHeader seen{.what = what, .place = place, .verdict = record ? "good" : record.error().cause};
    if (record) describe(seen, (*record)->header);
    all.push_back(std::move(seen));
}

SeenHeader seen_image(const VolumeHeader& header, const std::string& what, const fs::path& file,
                      const std::optional<Record>& record) {
    SeenHeader seen{.what = what, .place = file, .verdict = {}};
    const Result<Taken> taken = header.take_file(file);
    if (!taken) {
        seen.verdict = taken.error().cause;
        return seen;
    }
    describe(seen, taken->header);
    const std::vector<std::string> differs =
        record ? differences(taken->header, *record) : std::vector<std::string>{"nothing is on record"};
    seen.verdict = differs.empty() ? "on record" : fmt::format("{}", fmt::join(differs, ", "));
    return seen;
}

}  // namespace

std::string in_words(const Sighting& seen) {
    switch (seen.what) {
        case Sighting::What::ours:
            return seen.damage.empty() ? "on record" : "on record, one copy is damaged: " + seen.damage;
        case Sighting::What::detached:
            return "not attached";
        case Sighting::What::blank:
            return "blank";
        case Sighting::What::unfinished:
            return "a format of ours that was cut short";
        case Sighting::What::foreign:
        case Sighting::What::unknown:
            break;
    }
    return seen.error.cause;
}

std::string keyslots_in_words(const Header& header, const std::optional<Record>& known) {
    std::vector<std::string> words;
    for (const UserToken& token : user_tokens(header))
        for (const int slot : token.slots) words.push_back(fmt::format("{} ({})", token.user, slot));
    const Json& now = object_in(header.metadata, "keyslots");
    for (const int slot : unnamed_slots(header)) {
        const std::string name = std::to_string(slot);
        // The same number in an old header may have been somebody else's.
        const bool same = known && known->slots.contains(name) &&
                          object_in(object_in(known->header.metadata, "keyslots"), name) == now[name];
        words.push_back(same ? fmt::format("{} ({}), known from the record alone", known->slots.at(name), slot)
                             : fmt::format("nobody named ({})", slot));
    }
    return fmt::format("keyslots in it: {}", words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", ")));
}

std::vector<SeenHeader> list_headers(const VolumeHeader& header) {
    std::vector<SeenHeader> all{seen_device(header)};
    const HeaderStore& store = header.store();
    const Result<std::optional<Record>> record = store.record();
    add_record(all, "record", store.folder() / "record.json", record);
    add_record(all, "under way", store.folder() / "pending.json", store.pending());
    const std::optional<Record> known = record ? *record : std::nullopt;
    std::error_code error;
    if (fs::exists(store.kept_file(), error)) all.push_back(seen_image(header, "copy", store.kept_file(), known));
    for (const auto& [sequence, file] : store.backups() | std::views::reverse)
        all.push_back(seen_image(header, "backup", file, known));
    for (const auto& [number, file] : store.replaced() | std::views::reverse)
        all.push_back(seen_image(header, "replaced", file, known));
    return all;
}

}  // namespace safe::luks
