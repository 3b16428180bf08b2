#include "plugins/libvirt/seed_store.hpp"

#include <fmt/format.h>

#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/durable_files.hpp"
#include "plugins/libvirt/seed_image.hpp"
#include "reconciler/base/digest.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;
using model::Branch;

constexpr std::size_t most_user_data = std::size_t{1} << 20;
/// A seed is its user-data, twice at most with what is around it.
constexpr std::size_t most_seed = 2 * most_user_data;

fs::path record_of(const fs::path& file) { return fs::path(file).replace_extension(".json"); }

/// <sha256>.iso and .json, and what a run that was killed left beside its place.
bool is_named_as_ours(std::string_view name) {
    if (name.starts_with('.') && name.ends_with(".new")) name = name.substr(1, name.size() - 5);
    constexpr std::size_t digits = 64;
    return name.find_first_not_of("0123456789abcdef") == digits &&
           (name.substr(digits) == ".iso" || name.substr(digits) == ".json");
}

Branch with_version(Branch seed, std::string_view version) {
    seed.set("version", version);
    return seed;
}

Branch without_version(const Branch& seed) {
    Branch rest;
    for (const model::Entry& entry : seed.entries())
        if (entry.key != "version") rest.set(entry.key, entry.value);
    return rest;
}

}  // namespace

Result<std::string> read_user_data(const fs::path& path) {
    Result<std::optional<std::string>> read = read_small_file(path, most_user_data);
    if (!read) return base::fail(read.error());
    std::optional<std::string>& content = *read;
    if (!content)
        return base::fail({.attempt = "read",
                           .object = path.string(),
                           .cause = "there is no such file",
                           .advice = "put the user data there, or leave user-data out"});
    if (content->size() > most_user_data)
        return base::fail({.attempt = "read",
                           .object = path.string(),
                           .cause = "it is larger than 1 MiB",
                           .advice = "user data says what to do; put what it needs into the image or on a volume"});
    return std::move(*content);
}

Result<Branch> SeedStore::look(const fs::path& file) const {
    const Result<std::optional<std::string>> image = read_small_file(file, most_seed);
    if (!image) return base::fail(image.error());
    if (!*image) return with_version({}, seed_is_gone);
    const Result<std::optional<std::string>> text = read_small_file(record_of(file), most_seed);
    if (!text) return base::fail(text.error());
    std::optional<SeedRecord> record = *text ? parse_seed_record(**text) : std::nullopt;
    if (!record) return with_version({}, damaged_seed);
    if (base::sha256_hex(**image) != file.stem().string()) return with_version(std::move(record->seed), damaged_seed);
    const std::string source = text_of(record->seed, "user-data");
    if (source.empty()) return std::move(record->seed);
    // One that is gone is said by whoever asks; what was handed over stays as it is.
    const Result<std::string> now = read_user_data(source);
    const bool same = !now || base::sha256_hex(*now) == record->user_data_sha256;
    return with_version(std::move(record->seed), same ? as_its_source : older_than_source);
}

Result<ReadySeed> SeedStore::prepare(const std::string& vm, const Branch& seed) const {
    SeedRecord record{.seed = without_version(seed), .user_data_sha256 = ""};
    std::optional<std::string> user_data;
    if (const std::string source = text_of(seed, "user-data"); !source.empty()) {
        Result<std::string> read = read_user_data(source);
        if (!read) return base::fail(read.error());
        user_data = std::move(*read);
        record.user_data_sha256 = base::sha256_hex(*user_data);
    }
    Result<std::string> image =
        make_seed_image(seed_files(seed, user_data), fmt::format("digital safe, {}/{}", layout_.safe(), vm));
    if (!image) return base::fail(image.error());
    fs::path file = layout_.seeds(vm) / (base::sha256_hex(*image) + ".iso");
    return ReadySeed{.file = std::move(file), .image = std::move(*image), .record = record_text(record)};
}

Result<std::optional<std::string>> SeedStore::in_the_way(const ReadySeed& seed) const {
    const Result<std::optional<std::string>> there = read_small_file(seed.file, most_seed);
    if (!there) return seed.file.string() + " is no seed of ours: " + there.error().cause;
    if (!*there || **there == seed.image) return std::nullopt;
    const Result<std::optional<std::string>> record = read_small_file(record_of(seed.file), most_seed);
    if (!record) return base::fail(record.error());
    if (*record && parse_seed_record(**record)) return std::nullopt;
    return seed.file.string() + " has no record of ours beside it";
}

Result<void> SeedStore::put(const std::string& vm, const ReadySeed& seed) const {
    const Result<std::optional<std::string>> foreign = in_the_way(seed);
    if (!foreign) return base::fail(foreign.error());
    if (*foreign)
        return base::fail({.attempt = "write",
                           .object = seed.file.string(),
                           .cause = **foreign,
                           .advice = "move it away",
                           .kind = Error::Kind::refused});
    const fs::path root = layout_.on_volume(vm) ? layout_.keep().disks_mount : layout_.state_dir();
    if (Result<void> made = make_passable(seed.file.parent_path(), root); !made) return made;
    // The record first: a seed without one is not ours.
    if (Result<void> written = replace_file(record_of(seed.file), seed.record); !written) return written;
    const Result<std::optional<std::string>> there = read_small_file(seed.file, most_seed);
    if (there && *there && **there == seed.image) return {};  // QEMU may have it open
    return replace_file(seed.file, seed.image);
}

Result<void> SeedStore::sweep(const std::string& vm, const fs::path& kept) const {
    for (const fs::path& directory : layout_.places_of_seeds(vm)) {
        std::error_code error;
        for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
            const fs::path& path = entry.path();
            const bool stays = path.parent_path() == kept.parent_path() && path.stem() == kept.stem();
            if (is_named_as_ours(path.filename().string()) && !stays) fs::remove(path, error);
            if (error) break;
        }
        if (error && error != std::errc::no_such_file_or_directory)
            return base::fail(file_error("remove old seeds from", directory, error.value()));
        if (kept.empty()) fs::remove(directory, error);  // unless something else lies there
    }
    return {};
}

}  // namespace safe::libvirt
