#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plugins/libvirt/disk_store.hpp"
#include "plugins/libvirt/domain_finder.hpp"
#include "plugins/libvirt/drivers.hpp"
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

std::string text_of(const Attributes& attributes, std::string_view key) {
    const std::string* text = model::get<std::string>(attributes, key);
    return text != nullptr ? *text : std::string();
}

Attributes attributes_of(const DiskSeen& disk) {
    Attributes attributes;
    attributes.set("image", disk.image);
    attributes.set("version", disk.pinned ? disk.base_sha256 : std::string(any_version));
    if (!disk.sized && disk.size == disk.base_size)
        attributes.set("size", size_of_image);
    else
        attributes.set("size", Bytes{disk.size});
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
            if (*vm.role == specs::Role::workspace)
                disk.notes.push_back(fmt::format(
                    "{} lies in clear on the hypervisor: this build has no volumes to keep it in", to_text(disk.id)));
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
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, look(id.name()));
        if (!scope.enumerate) return snapshot;
        const Result<std::vector<std::string>> all = store_.list();
        if (!all) {
            snapshot.enumeration_failed = all.error();
            return snapshot;
        }
        for (const std::string& vm : *all) {
            const ResourceId id = make_id(model::Kind::disk, vm);
            if (snapshot.observations.contains(id)) continue;
            Observation seen = look(vm);
            if (std::holds_alternative<model::Present>(seen)) snapshot.observations.emplace(id, std::move(seen));
        }
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
        const std::string& vm = resource.id.name();
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
        if (size > disk->size)
            if (Result<void> grown = grow(vm, size); !grown) return grown;
        disk->pinned = !wish->sha256.empty();
        disk->sized = wish->size.has_value();
        return store_.record(vm, *disk);
    }

 private:
    [[nodiscard]] Observation look(const std::string& vm) const {
        const auto seen = store_.look(vm);
        if (!seen) return model::Unknown{seen.error()};
        if (std::holds_alternative<DiskStore::None>(*seen)) return missing(vm);
        if (const auto* foreign = std::get_if<DiskStore::NotOurs>(&*seen))
            return model::Foreign{foreign->why, "move it away, or put back what belongs there"};
        const DiskSeen& disk = std::get<DiskSeen>(*seen);
        model::Present present{.attributes = attributes_of(disk)};
        if (const auto image = model::parse_resource_id(disk.image)) present.needs = {*image};
        present.facts.set("size", Bytes{disk.size})
            .set("base-sha256", disk.base_sha256)
            .set("base-size", Bytes{disk.base_size});
        return present;
    }

    /// No file, and a machine that is defined with it: the disk is somewhere else (not mounted?) or lost. A blank one
    /// in its place would hide that, and the next start would write to it.
    [[nodiscard]] Observation missing(const std::string& vm) const {
        const Sighting sighting = DomainFinder(api_, layout_).find(vm, View::definition);
        if (const auto* unknown = std::get_if<model::Unknown>(&sighting)) return *unknown;
        const auto* found = std::get_if<Found>(&sighting);
        const model::Value* disk = found != nullptr ? found->seen.hardware.find("disk") : nullptr;
        if (disk == nullptr || disk->branch() == nullptr ||
            text_of(*disk->branch(), "file") != layout_.disk(vm).string())
            return model::Absent{};
        return model::Unknown{{.attempt = "look at",
                               .object = layout_.disk(vm).string(),
                               .cause = "the file is gone, and " + layout_.domain_name(vm) + " is defined with it",
                               .advice = "is its file system mounted? Put the file back, or undefine the machine to "
                                         "have it made anew with a blank disk"}};
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

    /// QEMU holds the file of a guest that runs, and must do it itself.
    Result<void> grow(const std::string& vm, std::uint64_t size) {
        const std::string uuid = specs::uuid_of(layout_.safe(), vm);
        const Result<std::optional<Domain>> looked = api_->domain_with(uuid, View::live);
        if (!looked) return base::fail(looked.error());
        const std::optional<Domain>& domain = *looked;
        if (domain && domain->active) return api_->resize_disk(uuid, layout_.disk(vm).string(), size);
        return store_.grow(vm, size);
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
