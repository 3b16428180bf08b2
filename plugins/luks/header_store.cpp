#include "plugins/luks/header_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "plugins/luks/header_device.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/file.hpp"
#include "reconciler/base/file_descriptor.hpp"

namespace safe::luks {
namespace {

using base::Result;
namespace fs = std::filesystem;

constexpr std::size_t record_limit = std::size_t{8} << 20U;
constexpr std::size_t images_kept = 8;
constexpr std::string_view backup_prefix = "backup-";
constexpr std::string_view replaced_prefix = "replaced-";
constexpr std::string_view image_suffix = ".img";

Json as_json(const Record& record) {
    const Header& header = record.header;
    return {{"version", 1},
            {"uuid", header.uuid},
            {"label", header.label},
            {"subsystem", header.subsystem},
            {"sequence", header.sequence},
            {"copy_size", header.copy_size},
            {"metadata", header.metadata},
            {"slots", record.slots}};
}

std::optional<Record> from_json(const Json& json) {
    if (!json.is_object() || json.value("version", Json()) != 1 || !json.contains("sequence") ||
        !json["sequence"].is_number_unsigned() || !json.contains("copy_size") ||
        !json["copy_size"].is_number_unsigned() || !json.contains("metadata") || !json["metadata"].is_object())
        return std::nullopt;
    Record record;
    record.header = {.uuid = text_in(json, "uuid"),
                     .label = text_in(json, "label"),
                     .subsystem = text_in(json, "subsystem"),
                     .sequence = json["sequence"].get<std::uint64_t>(),
                     .copy_size = json["copy_size"].get<std::uint64_t>(),
                     .salt = {},
                     .metadata = json["metadata"]};
    for (const auto& [slot, user] : object_in(json, "slots").items())
        if (user.is_string()) record.slots.emplace(slot, user.get<std::string>());
    return record;
}

/// "keyslot 3 is new", for one part of the metadata.
void compare_part(std::string_view word, const Json& now, const Json& recorded, std::vector<std::string>& found) {
    for (const auto& [key, value] : now.items()) {
        if (!recorded.contains(key))
            found.push_back(fmt::format("{} {} is new", word, key));
        else if (recorded[key] != value)
            found.push_back(fmt::format("{} {} is another", word, key));
    }
    for (const auto& [key, value] : recorded.items())
        if (!now.contains(key)) found.push_back(fmt::format("{} {} is gone", word, key));
}

/// Of the volume key, but for the keyslots that hold it: those are compared for themselves.
Json digests_in(const Header& header) {
    Json digests = object_in(header.metadata, "digests");
    for (Json& digest : digests)
        if (digest.is_object()) digest.erase("keyslots");
    return digests;
}

/// `newest` stays, whatever its number.
void drop_oldest(std::vector<HeaderStore::Numbered> images, const fs::path& newest) {
    std::erase_if(images, [&](const HeaderStore::Numbered& image) { return image.second == newest; });
    for (std::size_t i = 0; i + images_kept < images.size() + 1; ++i) ::unlink(images[i].second.c_str());
}

/// Empty when it cannot be told.
std::string uuid_in(const fs::path& image) {
    const Result<HeaderDevice> file = HeaderDevice::open(image, HeaderDevice::Access::read);
    const Result<std::string> begin = file ? file->read(0, binary_size) : Result<std::string>();
    return begin ? claimed_uuid(*begin) : std::string();
}

bool is_of_another(const fs::path& image, const std::string& uuid) {
    const std::string claimed = uuid_in(image);
    return !claimed.empty() && !uuid.empty() && claimed != uuid;
}

std::vector<HeaderStore::Numbered> only_of(const std::string& uuid, std::vector<HeaderStore::Numbered> images) {
    std::erase_if(images, [&](const HeaderStore::Numbered& image) { return uuid_in(image.second) != uuid; });
    return images;
}

}  // namespace

bool same_volume_key(const Header& one, const Header& other) {
    const Json digests = digests_in(one);
    return !digests.empty() && digests == digests_in(other);
}

Record record_of(const Header& header, const std::optional<Record>& before) {
    Record record{.header = header, .slots = {}};
    record.header.salt.clear();
    for (const auto& [slot, ignored] : object_in(header.metadata, "keyslots").items())
        if (before && before->slots.contains(slot)) record.slots[slot] = before->slots.at(slot);
    for (const UserToken& token : user_tokens(header))
        for (const int slot : token.slots) record.slots[std::to_string(slot)] = token.user;
    return record;
}

std::vector<std::string> differences(const Header& header, const Record& record) {
    std::vector<std::string> found;
    const Header& kept = record.header;
    if (header.uuid != kept.uuid) found.push_back(fmt::format("its UUID is {}, not {}", header.uuid, kept.uuid));
    if (header.subsystem != kept.subsystem || header.label != kept.label) found.emplace_back("its labels are others");
    if (header.copy_size != kept.copy_size) found.emplace_back("its size is another");
    if (header.sequence < kept.sequence)
        found.push_back(fmt::format("it is an older one: sequence {} after {}", header.sequence, kept.sequence));
    const auto part = [&](std::string_view word, const char* key) {
        compare_part(word, object_in(header.metadata, key), object_in(kept.metadata, key), found);
    };
    compare_part("the volume key", digests_in(header), digests_in(kept), found);
    part("keyslot", "keyslots");
    part("token", "tokens");
    part("data segment", "segments");
    part("setting", "config");
    if (found.empty() && (header.sequence != kept.sequence || header.metadata != kept.metadata))
        found.push_back(fmt::format("it was written again: sequence {} after {}", header.sequence, kept.sequence));
    return found;
}

Result<std::optional<Record>> HeaderStore::record() const { return load("record.json"); }

Result<std::optional<Record>> HeaderStore::pending() const { return load("pending.json"); }

Result<std::optional<Record>> HeaderStore::load(const std::string& name) const {
    const fs::path path = folder_ / name;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return Result<std::optional<Record>>(std::nullopt);
        return base::fail({"read the record", path.string(), base::errno_text(errno), "run as root"});
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022U) != 0)
        return base::fail({"trust the record", path.string(), "others than root may have written it",
                           "find out who did; then move it away and `safectl header accept`"});
    const Result<std::string> text = base::read_file(path, record_limit);
    if (!text) return base::fail(text.error());
    std::optional<Record> record = from_json(Json::parse(*text, nullptr, /*allow_exceptions=*/false));
    if (!record)
        return base::fail({"read the record", path.string(), "it is damaged",
                           "move it away and confirm the header with a member's key: `safectl header accept`"});
    return Result<std::optional<Record>>(std::move(record));
}

Result<void> HeaderStore::prepare() const {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (!error) fs::permissions(folder_, fs::perms::owner_all, error);
    if (error) return base::fail({"make the folder", folder_.string(), error.message(), "run as root"});
    return {};
}

Result<void> HeaderStore::announce(const Record& after) const {
    if (Result<void> ready = prepare(); !ready) return ready;
    return base::replace_file(folder_ / "pending.json", as_json(after).dump(1), 0600);
}

Result<void> HeaderStore::commit() const {
    const Result<std::optional<Record>> announced = pending();
    if (!announced) return base::fail(announced.error());
    if (!*announced) return {};
    if (::rename((folder_ / "pending.json").c_str(), (folder_ / "record.json").c_str()) != 0)
        return base::fail({"replace", (folder_ / "record.json").string(), base::errno_text(errno), ""});
    const base::FileDescriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()) != 0)
        return base::fail({"sync the folder", folder_.string(), base::errno_text(errno), ""});
    return {};
}

Result<void> HeaderStore::withdraw() const {
    if (::unlink((folder_ / "pending.json").c_str()) != 0 && errno != ENOENT)
        return base::fail({"remove", (folder_ / "pending.json").string(), base::errno_text(errno), ""});
    return {};
}

Result<void> HeaderStore::keep(const std::string& image) const {
    if (Result<void> ready = prepare(); !ready) return ready;
    return base::replace_file(kept_file(), image, 0600);
}

Result<void> HeaderStore::back_up(const std::string& image, std::uint64_t sequence) const {
    if (Result<void> ready = prepare(); !ready) return ready;
    const auto name = [&](int copy) {
        return folder_ / (copy == 1 ? fmt::format("{}{}{}", backup_prefix, sequence, image_suffix)
                                    : fmt::format("{}{}-{}{}", backup_prefix, sequence, copy, image_suffix));
    };
    // One that is there may hold the only good copy of an area that was damaged since.
    int copy = 1;
    for (struct stat status{}; ::lstat(name(copy).c_str(), &status) == 0; ++copy)
        if (const Result<std::string> kept = base::read_file(name(copy), image.size()); kept && *kept == image)
            return {};
    if (Result<void> written = base::replace_file(name(copy), image, 0600); !written) return written;
    // Higher sequences are no newer: they are there where an older header was accepted without a record.
    std::vector<Numbered> before = only_of(claimed_uuid(image), backups());
    std::erase_if(before, [&](const Numbered& backup) { return backup.first > sequence; });
    drop_oldest(std::move(before), name(copy));
    return {};
}

Result<fs::path> HeaderStore::keep_replaced(const std::string& bytes) const {
    if (Result<void> ready = prepare(); !ready) return base::fail(ready.error());
    const std::vector<Numbered> before = replaced();
    const std::uint64_t number = before.empty() ? 1 : before.back().first + 1;
    fs::path path = folder_ / fmt::format("{}{}{}", replaced_prefix, number, image_suffix);
    if (Result<void> written = base::replace_file(path, bytes, 0600); !written) return base::fail(written.error());
    drop_oldest(replaced(), path);
    return path;
}

fs::path HeaderStore::best_copy() const {
    std::error_code error;
    const std::string uuid = known_uuid();
    if (fs::is_regular_file(kept_file(), error) && !is_of_another(kept_file(), uuid)) return kept_file();
    const std::vector<Numbered> kept = backups_on_record();
    return kept.empty() ? fs::path() : kept.back().second;
}

std::string HeaderStore::known_uuid() const {
    for (const Result<std::optional<Record>>& known : {record(), pending()})
        if (known && *known) return (*known)->header.uuid;
    return {};
}

std::vector<HeaderStore::Numbered> HeaderStore::backups() const { return numbered(backup_prefix); }

std::vector<HeaderStore::Numbered> HeaderStore::backups_on_record() const {
    const std::string uuid = known_uuid();
    return uuid.empty() ? backups() : only_of(uuid, backups());
}

std::vector<HeaderStore::Numbered> HeaderStore::replaced() const { return numbered(replaced_prefix); }

std::vector<HeaderStore::Numbered> HeaderStore::numbered(std::string_view prefix) const {
    std::map<std::pair<std::uint64_t, int>, fs::path> found;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
        const std::string name = entry.path().filename();
        if (name.size() <= prefix.size() + image_suffix.size() || !name.starts_with(prefix) ||
            !name.ends_with(image_suffix))
            continue;
        const char* const first = name.data() + prefix.size();
        const char* const last = name.data() + name.size() - image_suffix.size();
        std::uint64_t number = 0;
        int copy = 1;
        auto [end, bad] = std::from_chars(first, last, number);
        if (bad == std::errc() && end != last && *end == '-') {
            const auto further = std::from_chars(end + 1, last, copy);
            end = further.ptr;
            bad = further.ec;
        }
        if (bad == std::errc() && end == last) found.emplace(std::pair(number, -copy), entry.path());
    }
    std::vector<Numbered> sorted;
    for (const auto& [key, path] : found) sorted.emplace_back(key.first, path);
    return sorted;
}

}  // namespace safe::luks
