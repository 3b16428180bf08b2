#include "plugins/filesystem/mount_driver.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "plugins/filesystem/filesystem_driver.hpp"
#include "reconciler/base/paths.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::fail;
using base::Result;
using model::Absent;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Observation;
using model::Presence;
using model::Present;
using model::ResourceId;
using model::Unknown;

constexpr std::uint64_t little_space = 20;  // one in so many parts

ResourceId mapping_of(const std::string& volume) { return make_id(Kind::mapping, volume); }

std::string read_options(bool nodev, bool noexec, bool nosuid) {
    std::vector<std::string_view> set;
    if (nodev) set.emplace_back("nodev");
    if (noexec) set.emplace_back("noexec");
    if (nosuid) set.emplace_back("nosuid");
    return fmt::format("{}", fmt::join(set, ", "));
}

bool concerns(const model::Change& change, std::string_view key) {
    return !change.path.empty() && change.path.front() == key;
}

/// The last one that was mounted over it, there or on the way to it: then it is out of reach.
const MountEntry* cover_of(const std::vector<MountEntry>& entries, const MountEntry& mine) {
    const MountEntry* last = nullptr;
    for (const MountEntry& entry : entries)
        if (&entry > &mine && base::lies_in(mine.target, entry.target)) last = &entry;
    return last;
}

}  // namespace

MountDriver::MountDriver(const driver::Setting& setting, std::shared_ptr<Api> api)
    : places_(setting.places), api_(std::move(api)) {
    for (const specs::VolumeSpec& volume : setting.spec.volumes) roles_[volume.name] = *volume.role;
}

std::span<const Kind> MountDriver::kinds() const {
    static constexpr std::array mine{Kind::mount};
    return mine;
}

std::string text_of(const MountEntry& entry) { return fmt::format("{} of type {}", entry.source, entry.type); }

std::vector<MountEntry> mounts_below(const std::vector<MountEntry>& entries, const fs::path& target) {
    std::vector<MountEntry> found;
    for (const MountEntry& entry : entries)
        if (entry.target == target)
            found.clear();  // what was there before lies below this one
        else if (base::lies_in(entry.target, target))
            found.push_back(entry);
    return found;
}

// --- what is wanted

std::vector<Directory> MountDriver::directories(const std::string& volume) const {
    const auto role = roles_.find(volume);
    return role == roles_.end() ? std::vector<Directory>{} : directories_of(role->second);
}

model::Attributes MountDriver::wanted(const specs::VolumeSpec& volume) const {
    model::Attributes attributes;
    attributes.set(type_key, to_text(*volume.filesystem));
    attributes.set(access_key, to_text(*volume.access));
    attributes.set(device_key, places_.mapped(volume.name).string());
    attributes.set(options_key, read_options(true, true, true));
    attributes.set(provisioned_key, true);
    if (const auto inside = directories_of(*volume.role); !inside.empty())
        attributes.set(directories_key, wanted_directories(inside));
    return attributes;
}

driver::Desire MountDriver::desire(const specs::SafeSpec& spec, Mode mode) const {
    driver::Desire desire;
    for (const specs::VolumeSpec& volume : spec.volumes) {
        model::Resource resource{.id = make_id(Kind::mount, volume.name), .needs = {mapping_of(volume.name)}};
        if (mode == Mode::open || driver::Places::stays_open(spec, volume)) {
            resource.presence = Presence::present;
            resource.attributes = wanted(volume);
        }
        desire.resources.push_back(std::move(resource));
    }
    return desire;
}

Presence MountDriver::orphan(const ResourceId& /*id*/, const Present& /*observed*/, Mode mode) const {
    return mode == Mode::open ? Presence::present : Presence::absent;
}

// --- what is there

model::Snapshot MountDriver::observe(const driver::Scope& scope, const driver::Context& /*context*/) {
    model::Snapshot snapshot;
    const auto entries = api_->mounts();
    if (!entries) {
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, Unknown{entries.error()});
        snapshot.enumeration_failed = entries.error();
        return snapshot;
    }
    for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, observation(id.name(), *entries));
    if (scope.enumerate) add_orphans(*entries, snapshot);
    if (!scope.ids.empty()) {
        const auto shared = api_->in_hosts_namespace();
        if (!shared)
            snapshot.warnings.push_back(to_text(shared.error()));
        else if (!*shared)
            snapshot.refusals.push_back(
                {"mount namespace",
                 {"mount volumes for", "the hypervisor", "this process has a mount namespace of its own",
                  "run it outside of any (a unit without PrivateMounts=, ProtectSystem= and the like)",
                  Error::Kind::refused}});
    }
    warn_of_little_space(snapshot);
    return snapshot;
}

Result<MountDriver::Seen> MountDriver::look(const std::string& volume, const std::vector<MountEntry>& entries) {
    auto mapping = api_->device_of(places_.mapped(volume));
    if (!mapping) return fail(mapping.error());
    const fs::path target = places_.mount_point(volume);
    Seen seen{.mapping = *mapping};
    for (const MountEntry& entry : entries) {
        if (entry.target != target) continue;
        const bool ours = entry.source == places_.mapped(volume) || (seen.mapping && entry.device == *seen.mapping);
        if (seen.ours && !ours) continue;
        seen.entry = &entry;
        seen.ours = ours;
    }
    const std::optional<dev_t> below = seen.ours ? std::optional(seen.entry->device) : std::nullopt;
    for (const std::optional<dev_t>& device : {below, seen.mapping}) {
        const Result<bool> suspended = device ? api_->suspended(*device) : Result<bool>(false);
        if (!suspended) return fail(suspended.error());
        if (*suspended)
            return fail({"look at", target.string(), "the device below it is suspended",
                         fmt::format("`safectl apply` or `safectl close` resumes it; by hand, `dmsetup resume {}`",
                                     places_.mapping_name(volume))});
    }
    const auto stray = std::ranges::find_if(
        entries, [&](const MountEntry& entry) { return !seen.ours && seen.mapping && entry.device == *seen.mapping; });
    if (stray != entries.end())
        return fail({"look at", target.string(), fmt::format("the volume is mounted on {}", stray->target.string()),
                     fmt::format("`umount {}`, and apply again", stray->target.string())});
    if (const MountEntry* cover = seen.ours ? cover_of(entries, *seen.entry) : nullptr; cover != nullptr)
        return fail({"look at", target.string(),
                     fmt::format("the volume is mounted there, out of reach below {}, mounted on {}", text_of(*cover),
                                 cover->target.string()),
                     fmt::format("`umount {}`, and apply again", cover->target.string())});
    return seen;
}

Observation MountDriver::observation(const std::string& volume, const std::vector<MountEntry>& entries) {
    const auto seen = look(volume, entries);
    if (!seen) return Unknown{seen.error()};
    if (seen->entry == nullptr) return not_mounted(volume, *seen);
    if (!seen->ours)
        return model::Foreign{
            fmt::format("{} is mounted on {}", text_of(*seen->entry), places_.mount_point(volume).string()),
            fmt::format("if nobody needs it there, `umount {}`", places_.mount_point(volume).string())};
    return mounted(volume, *seen);
}

Observation MountDriver::mounted(const std::string& volume, const Seen& seen) {
    const MountEntry& entry = *seen.entry;
    const bool current = seen.mapping && entry.device == *seen.mapping;
    Present present{.attributes = {}, .needs = {mapping_of(volume)}};
    present.attributes.set(type_key, entry.type);
    present.attributes.set(access_key, entry.read_only ? "read-only" : "read-write");
    present.attributes.set(device_key, current ? places_.mapped(volume).string() : "a mapping that is gone");
    present.attributes.set(options_key, read_options(entry.nodev, entry.noexec, entry.nosuid));
    std::error_code error;
    const bool marked = fs::exists(marker_of(places_, volume), error);
    if (error) return Unknown{{"look at", marker_of(places_, volume).string(), error.message(), "run as root"}};
    present.attributes.set(provisioned_key, !marked);
    const auto shut_down = api_->shut_down(places_.mount_point(volume));
    if (!shut_down) return Unknown{shut_down.error()};
    if (*shut_down) {
        present.attributes.set(state_key, "shut down");
        return present;
    }
    if (const auto inside = directories(volume); !inside.empty())
        present.attributes.set(directories_key, look_at_directories(places_.mount_point(volume), inside));
    return present;
}

/// A copy in another mount namespace keeps the device as if it were mounted here: it is not gone.
Observation MountDriver::not_mounted(const std::string& volume, const Seen& seen) {
    if (!seen.mapping) return Absent{};
    const auto elsewhere = api_->other_namespaces(*seen.mapping);
    if (!elsewhere) return Unknown{elsewhere.error()};
    if (elsewhere->empty()) return Absent{};
    Present present{.attributes = {}, .needs = {mapping_of(volume)}};
    present.attributes.set(elsewhere_key, true);
    present.facts.set("holders", fmt::format("{}", fmt::join(*elsewhere, ", ")));
    return present;
}

/// Mounts of volumes that left the file: whatever is directly below our directory and comes from a mapping of ours.
void MountDriver::add_orphans(const std::vector<MountEntry>& entries, model::Snapshot& snapshot) {
    for (const MountEntry& entry : entries) {
        if (entry.target.parent_path() != places_.mount_root()) continue;
        const std::string volume = entry.target.filename();
        const ResourceId id = make_id(Kind::mount, volume);
        if (snapshot.observations.contains(id)) continue;
        Observation seen = observation(volume, entries);
        if (!std::holds_alternative<model::Foreign>(seen)) snapshot.observations.emplace(id, std::move(seen));
    }
}

void MountDriver::warn_of_little_space(model::Snapshot& snapshot) {
    for (const auto& [id, seen] : snapshot.observations) {
        const auto* present = std::get_if<Present>(&seen);
        if (present == nullptr || present->attributes.find(elsewhere_key) != nullptr) continue;
        const auto space = api_->space(places_.mount_point(id.name()));
        if (!space) {
            snapshot.warnings.push_back(to_text(space.error()));
            continue;
        }
        const bool full = space->free < space->size / little_space;
        if (full || space->free_inodes < space->inodes / little_space)
            snapshot.warnings.push_back(fmt::format("{} is nearly full: less than a twentieth of its {} is free",
                                                    to_text(id), full ? "space" : "inodes"));
    }
}

// --- what it costs

model::Assessment MountDriver::classify(model::Action action, const model::Resource& resource,
                                        const Observation& observed, std::span<const model::Change> changes) const {
    const auto about = [&](std::string_view key) {
        return std::ranges::any_of(changes, [&](const model::Change& change) { return concerns(change, key); });
    };
    const auto* present = std::get_if<Present>(&observed);
    const auto text = [&](std::string_view key) {
        const auto* value = model::get<std::string>(
            action == model::Action::remove && present != nullptr ? present->attributes : resource.attributes, key);
        return value == nullptr ? std::string("?") : *value;
    };
    std::string summary = text(type_key);
    if (text(access_key) == "read-only") summary += ", read-only";
    if (resource.attributes.find(directories_key) != nullptr) summary += ", private to the hypervisor";
    if (action == model::Action::add) return {"mount", std::move(summary)};
    if (action == model::Action::remove)
        return {"unmount", present != nullptr && present->attributes.find(elsewhere_key) != nullptr
                               ? "it is still held by another mount namespace"
                               : std::move(summary)};
    if (about(elsewhere_key)) return {"mount", std::move(summary)};
    if (about(type_key)) {
        const std::string before =
            present != nullptr && model::get<std::string>(present->attributes, type_key) != nullptr
                ? *model::get<std::string>(present->attributes, type_key)
                : "?";
        return {.verb = "format",
                .summary = fmt::format("{} as {}", before, text(type_key)),
                .disruption = model::Disruption::irreversible,
                .destroys = fmt::format("everything on the volume {}", resource.id.name())};
    }
    if (about(access_key) || about(device_key) || about(options_key) || about(state_key))
        return {.verb = "remount",
                .summary = std::move(summary),
                .disruption = model::Disruption::downtime,
                .dependents_down = true};
    return {"tidy", fmt::format("{} in its root", changes.size() == 1 ? "1 difference" : "differences"),
            model::Disruption::live};
}

// --- what others call

fs::path marker_of(const driver::Places& places, const std::string& volume) {
    return places.run_dir() / "provisioning" / volume;
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    return make_drivers(setting, make_system_api());
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting, std::shared_ptr<Api> api) {
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(std::make_unique<MountDriver>(setting, std::move(api)));
    return drivers;
}

}  // namespace safe::filesystem
