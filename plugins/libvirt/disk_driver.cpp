#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plugins/libvirt/disk_store.hpp"
#include "plugins/libvirt/domain_finder.hpp"
#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/mounted.hpp"
#include "specs/identity.hpp"

namespace safe::libvirt {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Attributes;
using model::Bytes;
using model::Disruption;
using model::Observation;
using model::Resource;
using model::ResourceId;

constexpr std::array kind_of_disks{model::Kind::disk};

// What the attributes say where the spec leaves it open.
constexpr std::string_view any_version = "any";
constexpr std::string_view size_of_image = "as its image";

/// `saved`: the memory of its machine is, and ends with the disk as it is. What was written down to be done once it
/// runs again counts as done until then: nothing that comes after the disk may wait for that, waking the machine least
/// of all.
Attributes attributes_of(const DiskSeen& disk, bool saved) {
    const std::uint64_t bytes = saved ? std::max(disk.size, disk.grows_to) : disk.size;
    Attributes attributes;
    attributes.set("image", disk.image);
    attributes.set("version", disk.pinned ? disk.base_sha256 : std::string(any_version));
    if (!disk.sized && bytes == disk.base_size)
        attributes.set("size", size_of_image);
    else
        attributes.set("size", Bytes{bytes});
    return attributes;
}

Result<DiskWish> wish_of(const Resource& resource) {
    const auto image = model::parse_resource_id(text_of(resource.attributes, "image"));
    const auto format = image ? image_format(image->name()) : std::nullopt;
    if (!format)
        return base::fail(
            {.attempt = "make", .object = to_text(resource.id), .cause = "its image has no known format"});
    const std::string version = text_of(resource.attributes, "version");
    const Bytes* size = model::get<Bytes>(resource.attributes, "size");
    return DiskWish{.image = *image,
                    .base_format = std::string(*format),
                    .sha256 = version == any_version ? "" : version,
                    .size = size != nullptr ? std::optional(size->count) : std::nullopt};
}

class DiskDriver final : public driver::Driver {
 public:
    DiskDriver(SharedApi api, Layout layout) : api_(std::move(api)), layout_(std::move(layout)), store_(layout_) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kind_of_disks; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        for (const specs::VmSpec& vm : spec.vms) {
            if (!vm.image) continue;
            const ResourceId image = image_id(**vm.image);
            Resource disk{.id = make_id(model::Kind::disk, vm.name), .presence = model::Presence::present};
            disk.attributes.set("image", to_text(image))
                .set("version", vm.sha256 ? (**vm.sha256).hex : std::string(any_version));
            if (vm.disk)
                disk.attributes.set("size", Bytes{(**vm.disk).bytes});
            else
                disk.attributes.set("size", size_of_image);
            disk.needs = {image};
            if (layout_.on_volume(vm.name))
                disk.needs.push_back(ground());
            else if (*vm.role == specs::Role::workspace)
                disk.notes.push_back(fmt::format(
                    "{} lies in clear on the hypervisor: the spec has no volume to keep it on", to_text(disk.id)));
            if (!image_format(image.name()))
                desire.refusals.push_back(refusal(
                    "image", vm.image->at, fmt::format("the name {} does not tell its format", vm.image->value.written),
                    "name it .qcow2, or .img or .raw for a raw image"));
            desire.resources.push_back(std::move(disk));
        }
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        for (const ResourceId& id : scope.ids) {
            const auto wanted = std::ranges::find(scope.wanted, id, &Resource::id);
            Observation seen = look(id.name(), wanted != scope.wanted.end() ? &*wanted : nullptr);
            if (const Bytes* later = grows_later(seen))
                snapshot.warnings.push_back(fmt::format(
                    "{} grows to {} when its machine runs again: its memory is saved, and ends with the disk as it is",
                    to_text(id), to_text(*later)));
            snapshot.observations.emplace(id, std::move(seen));
        }
        if (!scope.enumerate) return snapshot;
        const Result<bool> mounted = volume_is_there();
        if (!mounted) {
            snapshot.enumeration_failed = mounted.error();
            return snapshot;
        }
        find_others(layout_.disks(), snapshot);
        if (*mounted) find_others(layout_.keep().disks, snapshot);
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> /*changes*/) const override {
        if (action == model::Action::remove) return {.verb = "remove", .summary = ""};
        const std::string image = text_of(resource.attributes, "image");
        const model::Value* size = resource.attributes.find("size");
        std::string summary = fmt::format("{}, on {}", size != nullptr ? to_text(*size) : "?", image);
        if (action == model::Action::add) return {.verb = "create", .summary = std::move(summary)};
        const auto* present = std::get_if<model::Present>(&observed);
        if (present == nullptr) return {.verb = "change", .summary = std::move(summary)};
        if (const std::string lost = what_it_destroys(resource, *present); !lost.empty())
            return {.verb = "remake",
                    .summary = std::move(summary),
                    .disruption = Disruption::irreversible,
                    .destroys = lost};
        const bool grows = resized(resource, *present) > 0;
        if (grows && is_saved(*present))
            return {.verb = "note",
                    .summary = fmt::format("{} when its machine runs again: its memory is saved, and ends with the "
                                           "disk as it is",
                                           to_text(*size))};
        return {.verb = grows ? "grow" : "note",
                .summary = grows ? "to " + to_text(*size) : "what the spec says of it",
                .disruption = grows ? Disruption::live : Disruption::none};
    }

    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return model::Presence::present;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& /*context*/) override {
        const std::string vm = resource.id.name();
        if (step.action == model::Action::remove || !step.destroys.empty())
            return base::fail({.attempt = step.verb,
                               .object = to_text(resource.id),
                               .cause = "this build destroys no disks",
                               .advice = "remove it by hand, with its record, if nobody needs it",
                               .kind = Error::Kind::refused});
        const Result<DiskWish> wish = wish_of(resource);
        if (!wish) return base::fail(wish.error());
        auto seen = store_.look(vm);
        if (!seen) return base::fail(seen.error());
        if (std::holds_alternative<DiskStore::None>(*seen)) return store_.create(vm, *wish);
        auto* disk = std::get_if<DiskSeen>(&*seen);
        if (disk == nullptr)
            return base::fail({.attempt = step.verb,
                               .object = to_text(resource.id),
                               .cause = std::get<DiskStore::NotOurs>(*seen).why,
                               .kind = Error::Kind::refused});
        const std::uint64_t size = wish->size.value_or(disk->base_size);
        disk->grows_to = 0;
        if (size > disk->size) {
            const Result<bool> grown = grow(vm, size);
            if (!grown) return base::fail(grown.error());
            if (!*grown) disk->grows_to = size;
        }
        disk->pinned = !wish->sha256.empty();
        disk->sized = wish->size.has_value();
        return store_.record(vm, *disk);
    }

 private:
    /// What disks of workspace VMs lie on.
    [[nodiscard]] ResourceId ground() const { return make_id(model::Kind::mount, layout_.keep().disks_volume); }

    [[nodiscard]] Result<bool> volume_is_there() const {
        return layout_.keep().disks.empty() ? Result<bool>(false) : is_mounted(layout_.keep().disks_mount);
    }

    /// What else of ours lies there: of VMs that have left the file.
    void find_others(const std::filesystem::path& directory, model::Snapshot& snapshot) const {
        const Result<std::vector<std::string>> all = store_.list(directory);
        if (!all) {
            snapshot.enumeration_failed = all.error();
            return;
        }
        for (const std::string& vm : *all) {
            const ResourceId id = make_id(model::Kind::disk, vm);
            if (snapshot.observations.contains(id)) continue;
            const auto seen = store_.look_in(directory, vm);
            if (!seen)
                snapshot.observations.emplace(id, model::Unknown{seen.error()});
            else if (const auto* disk = std::get_if<DiskSeen>(&*seen))
                snapshot.observations.emplace(id, present(*disk, directory == layout_.keep().disks, false));
        }
    }

    [[nodiscard]] model::Present present(const DiskSeen& disk, bool on_volume, bool saved) const {
        model::Present present{.attributes = attributes_of(disk, saved)};
        if (const auto image = model::parse_resource_id(disk.image); image && image->kind == model::Kind::image)
            present.needs = {*image};
        if (on_volume) present.needs.push_back(ground());
        present.facts.set("size", Bytes{disk.size})
            .set("base-sha256", disk.base_sha256)
            .set("base-size", Bytes{disk.base_size});
        if (saved) present.facts.set("memory", "saved");
        if (saved && disk.grows_to > disk.size) present.facts.set("grows-to", Bytes{disk.grows_to});
        return present;
    }

    static bool is_saved(const model::Present& present) { return present.facts.find("memory") != nullptr; }

    static const Bytes* grows_later(const Observation& seen) {
        const auto* present = std::get_if<model::Present>(&seen);
        return present != nullptr ? model::get<Bytes>(present->facts, "grows-to") : nullptr;
    }

    /// Until it has been woken all the way: what was restored, and does not run yet, may still be given up.
    [[nodiscard]] Result<bool> memory_is_saved(const std::string& vm) const {
        const Sighting sighting = DomainFinder(api_, layout_).find(vm, View::definition);
        if (const auto* unknown = std::get_if<model::Unknown>(&sighting)) return base::fail(unknown->error);
        const auto* found = std::get_if<Found>(&sighting);
        return found != nullptr && sleeps_on_disk(found->seen);
    }

    /// `wanted` is nullptr where it is not known: then only what cannot be answered without is looked at.
    [[nodiscard]] Observation look(const std::string& vm, const Resource* wanted) const {
        const bool on_volume = layout_.on_volume(vm);
        if (on_volume) {
            if (std::optional<Observation> in_the_way = before_the_volume(vm)) return std::move(*in_the_way);
        }
        const auto seen = store_.look(vm);
        if (!seen) return model::Unknown{seen.error()};
        if (std::holds_alternative<DiskStore::None>(*seen)) return missing(vm);
        if (const auto* foreign = std::get_if<DiskStore::NotOurs>(&*seen))
            return model::Foreign{foreign->why, "move it away, or put back what belongs there"};
        const auto& disk = std::get<DiskSeen>(*seen);
        const Bytes* size = wanted != nullptr ? model::get<Bytes>(wanted->attributes, "size") : nullptr;
        if (std::max(disk.grows_to, size != nullptr ? size->count : 0) <= disk.size)
            return present(disk, on_volume, false);
        const Result<bool> saved = memory_is_saved(vm);
        if (!saved) return model::Unknown{saved.error()};
        return present(disk, on_volume, *saved);
    }

    /// What keeps a disk that is to lie on a volume from being looked at there.
    [[nodiscard]] std::optional<Observation> before_the_volume(const std::string& vm) const {
        const auto clear = store_.look_in(layout_.disks(), vm);
        if (!clear) return model::Unknown{clear.error()};
        const std::string volume = layout_.keep().disks_volume;
        if (!std::holds_alternative<DiskStore::None>(*clear))
            return model::Foreign{
                fmt::format("the disk of {} lies in clear, {}, and the spec now keeps it on the volume {}", vm,
                            (layout_.disks() / (vm + ".qcow2")).string(), volume),
                "it is never moved silently: move it away with its .base and .json, open the safe, and copy what it "
                "holds to the new disk"};
        const Result<bool> mounted = volume_is_there();
        if (!mounted) return model::Unknown{mounted.error()};
        if (*mounted) return std::nullopt;
        return model::Deferred{ground(),
                               {.attempt = "look at",
                                .object = layout_.disk(vm).string(),
                                .cause = "the volume " + volume + " is not mounted",
                                .advice = "it is looked at when the safe is open"}};
    }

    /// No file, and a machine that is defined with one: the disk is somewhere else (not mounted?) or lost. A blank one
    /// in its place would hide that, and the next start would write to it.
    [[nodiscard]] Observation missing(const std::string& vm) const {
        const Sighting sighting = DomainFinder(api_, layout_).find(vm, View::definition);
        if (const auto* unknown = std::get_if<model::Unknown>(&sighting)) return *unknown;
        const auto* found = std::get_if<Found>(&sighting);
        const model::Value* disk = found != nullptr ? found->seen.hardware.find("disk") : nullptr;
        if (disk == nullptr || disk->branch() == nullptr) return model::Absent{};
        const std::string file = text_of(*disk->branch(), "file");
        if (file == layout_.disk(vm).string())
            return model::Unknown{{.attempt = "look at",
                                   .object = file,
                                   .cause = "the file is gone, and " + layout_.domain_name(vm) + " is defined with it",
                                   .advice = "is its file system mounted? Put the file back, or undefine the machine "
                                             "to have it made anew with a blank disk"}};
        // A name of ours elsewhere: it lay on a volume that the spec no longer has.
        if (!file.ends_with("/disks/" + vm + ".qcow2")) return model::Absent{};
        return model::Foreign{
            fmt::format("{} is defined with the disk {}, and the spec now has it at {}", layout_.domain_name(vm), file,
                        layout_.disk(vm).string()),
            "it is never moved silently, nor made anew: put the volumes in the spec back as they were, or undefine the "
            "machine to have it made anew with a blank disk"};
    }

    /// More than 0: it grows; less: it shrinks.
    static int resized(const Resource& resource, const model::Present& present) {
        const Bytes* now = model::get<Bytes>(present.facts, "size");
        const Bytes* wanted = model::get<Bytes>(resource.attributes, "size");
        if (wanted == nullptr) wanted = model::get<Bytes>(present.facts, "base-size");
        if (now == nullptr || wanted == nullptr || *now == *wanted) return 0;
        return *wanted > *now ? 1 : -1;
    }

    static std::string what_it_destroys(const Resource& resource, const model::Present& present) {
        std::string everything = "everything written to " + to_text(resource.id) + " since it was made";
        if (text_of(resource.attributes, "image") != text_of(present.attributes, "image")) return everything;
        const std::string version = text_of(resource.attributes, "version");
        if (version != any_version && version != text_of(present.facts, "base-sha256")) return everything;
        if (resized(resource, present) < 0) return "what lies at the end of " + to_text(resource.id);
        return "";
    }

    /// QEMU holds the file of a guest that runs, and must do it itself. False when it has to wait for that: the memory
    /// is saved, or is being saved just now. In this order: off, and without the mark then, it had none to lose.
    Result<bool> grow(const std::string& vm, std::uint64_t size) {
        const std::string uuid = specs::uuid_of(layout_.safe(), vm);
        const Result<std::optional<Domain>> looked = api_->domain_with(uuid, View::live);
        if (!looked) return base::fail(looked.error());
        const std::optional<Domain>& domain = *looked;
        const Result<bool> saved = memory_is_saved(vm);
        if (!saved) return base::fail(saved.error());
        if (*saved) return false;
        const bool active = domain && domain->active;
        const Result<void> grown =
            active ? api_->resize_disk(uuid, layout_.disk(vm).string(), size) : store_.grow(vm, size);
        if (grown) return true;
        if (const Result<bool> since = memory_is_saved(vm); since && *since) return false;
        return base::fail(grown.error());
    }

    const SharedApi api_;
    const Layout layout_;
    const DiskStore store_;
};

}  // namespace

std::optional<std::string_view> image_format(std::string_view file_name) {
    if (file_name.ends_with(".qcow2")) return "qcow2";
    if (file_name.ends_with(".img") || file_name.ends_with(".raw")) return "raw";
    return std::nullopt;
}

std::unique_ptr<driver::Driver> make_disk_driver(SharedApi api, Layout layout) {
    return std::make_unique<DiskDriver>(std::move(api), std::move(layout));
}

}  // namespace safe::libvirt
