#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plugins/libvirt/domain_finder.hpp"
#include "plugins/libvirt/domain_xml.hpp"
#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/mounted.hpp"
#include "plugins/libvirt/seed_store.hpp"
#include "specs/identity.hpp"

namespace safe::libvirt {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Attributes;
using model::Branch;
using model::Bytes;
using model::Observation;
using model::Resource;
using model::ResourceId;

constexpr std::array kind_of_vms{model::Kind::vm};

/// What `type` says when the machine runs on the best that the host offers, which only the host can tell.
constexpr std::string_view best_type = "the best of the host";

class VmDriver final : public driver::Driver {
 public:
    VmDriver(SharedApi api, Layout layout, std::string uri)
        : api_(std::move(api)),
          layout_(std::move(layout)),
          uri_(std::move(uri)),
          finder_(api_, layout_),
          seeds_(layout_) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kind_of_vms; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        for (const specs::VmSpec& vm : spec.vms) {
            if (uri_.starts_with("lxc"))
                desire.refusals.push_back(
                    refusal("vms." + vm.name + (vm.boot ? ".boot" : ".image"),
                            vm.boot    ? vm.boot->at
                            : vm.image ? vm.image->at
                                       : vm.at,
                            "a container boots neither an image nor a kernel",
                            "use a hypervisor that runs virtual machines: qemu:///system, xen:///system"));
            Resource resource{.id = make_id(model::Kind::vm, vm.name),
                              .presence = model::Presence::present,
                              .attributes = wanted_hardware(spec, vm, layout_)};
            resource.attributes.set("role", to_text(*vm.role)).set("type", best_type).set("autostart", false);
            if (vm.cloud_init) resource.attributes.set("seed", wanted_seed(spec, vm, layout_));
            resource.needs = needs(resource.attributes, vm.name);
            desire.resources.push_back(std::move(resource));
        }
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        const Result<Host> host = api_->host();
        if (!host) return blind(scope, host.error());
        Result<Sightings> sightings = finder_.find(scope, View::definition);
        if (!sightings) return blind(scope, sightings.error());
        model::Snapshot snapshot{.warnings = std::move(sightings->warnings)};
        if (!scope.ids.empty())
            snapshot.warnings.insert(snapshot.warnings.end(), host->warnings.begin(), host->warnings.end());
        for (auto& [vm, sighting] : sightings->vms)
            snapshot.observations.emplace(make_id(model::Kind::vm, vm), observation(vm, sighting, *host));
        for (const Resource& resource : scope.wanted) check_seed(resource, snapshot);
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& /*observed*/,
                                      std::span<const model::Change> changes) const override {
        if (action == model::Action::remove) return {.verb = "undefine", .summary = ""};
        if (action == model::Action::add) return {.verb = "define", .summary = summary(resource.attributes)};
        if (std::ranges::all_of(changes, [](const model::Change& change) { return change.path.front() == "seed"; }))
            return {.verb = "redefine", .summary = seed_summary(changes)};
        // A running guest goes on as it is; what that costs is said at power.
        return {.verb = "redefine",
                .summary = changes.size() == 1 ? model::to_text(changes.front().path) : summary(resource.attributes)};
    }

    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return model::Presence::present;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& /*context*/) override {
        if (step.action == model::Action::remove)
            return base::fail(
                {.attempt = "undefine",
                 .object = to_text(resource.id),
                 .cause = "this build destroys no virtual machines",
                 .advice = fmt::format("virsh undefine {} by hand", layout_.domain_name(resource.id.name())),
                 .kind = Error::Kind::refused});
        const Result<void> done = define(resource);
        return done ? done : base::fail(about(done.error(), resource.id));
    }

 private:
    /// What a definition rests on, from what is in it: so it can be told of one that has left the file, too.
    [[nodiscard]] std::vector<ResourceId> needs(const Attributes& hardware, const std::string& vm) const {
        std::vector<ResourceId> needs;
        const auto text = [&](std::string_view part, std::string_view key) {
            const model::Value* value = hardware.find(part);
            const Branch* branch = value != nullptr ? value->branch() : nullptr;
            const std::string* found = branch != nullptr ? model::get<std::string>(*branch, key) : nullptr;
            return found != nullptr ? *found : std::string();
        };
        if (layout_.is_disk_of(vm, text("disk", "file"))) needs.push_back(make_id(model::Kind::disk, vm));
        for (const char* key : {"kernel", "initrd"})
            if (const auto image = layout_.image_of(text("boot", key))) needs.push_back(*image);
        std::ranges::sort(needs);
        const auto again = std::ranges::unique(needs);
        needs.erase(again.begin(), again.end());
        return needs;
    }

    static std::string summary(const Attributes& attributes) {
        const std::int64_t* cpus = model::get<std::int64_t>(attributes, "cpus");
        const Bytes* memory = model::get<Bytes>(attributes, "memory");
        const std::int64_t count = cpus != nullptr ? *cpus : 0;
        return fmt::format("{} CPU{}, {}", count, count == 1 ? "" : "s",
                           to_text(memory != nullptr ? *memory : Bytes{}));
    }

    /// A guest that runs, or sleeps, keeps the seed that it has.
    static std::string seed_summary(std::span<const model::Change> changes) {
        std::string what;
        for (const model::Change& change : changes) {
            const std::string part = change.path.size() < 2 ? "everything" : change.path[1];
            if (what.find(part) == std::string::npos) what += (what.empty() ? "" : ", ") + part;
        }
        return "what cloud-init is told at its next start: " + what;
    }

    /// nullopt while the volume that the seed lies on is not mounted.
    [[nodiscard]] Result<std::optional<Branch>> seed_in(const std::string& vm, const std::string& file) const {
        if (layout_.on_volume(vm)) {
            const Result<bool> mounted = is_mounted(layout_.keep().disks_mount);
            if (!mounted) return base::fail(mounted.error());
            if (!*mounted) return std::nullopt;
        }
        return seeds_.look(file);
    }

    /// What is better said before anything is begun: user-data that cannot be read, and what is in the seed's way.
    void check_seed(const Resource& resource, model::Snapshot& snapshot) const {
        const std::string vm = resource.id.name();
        const model::Value* wanted = resource.attributes.find("seed");
        const auto seen = snapshot.observations.find(resource.id);
        if (wanted == nullptr || seen == snapshot.observations.end()) return;
        const auto* present = std::get_if<model::Present>(&seen->second);
        if (present == nullptr && !std::holds_alternative<model::Absent>(seen->second)) return;
        const model::Value* there = present != nullptr ? present->attributes.find("seed") : nullptr;
        const bool as_wanted = there != nullptr && *there == *wanted;
        if (const std::string* file = model::get<std::string>(*wanted->branch(), "user-data")) {
            const Result<void> readable = check_user_data(resource.id, *file, as_wanted, snapshot.warnings);
            if (!readable) {
                seen->second = model::Unknown{readable.error()};
                return;
            }
        }
        if (as_wanted) return;
        const Result<ReadySeed> ready = seeds_.prepare(vm, *wanted->branch());
        if (!ready) {
            seen->second = model::Unknown{about(ready.error(), resource.id)};
            return;
        }
        const Result<std::optional<std::string>> foreign = seeds_.in_the_way(*ready);
        if (!foreign)
            seen->second = model::Unknown{foreign.error()};
        else if (*foreign)
            seen->second = model::Foreign{**foreign, "move it away"};
    }

    /// A VM that has been handed its user data can do without the file.
    Result<void> check_user_data(const ResourceId& id, const std::string& file, bool handed_over,
                                 std::vector<std::string>& warnings) const {
        const auto at = layout_.keep().cloud_init.find(id.name());
        const std::string where = at != layout_.keep().cloud_init.end() ? " (" + at->second + ")" : "";
        Result<std::string> content = read_user_data(file);
        if (!content) {
            content.error().cause = fmt::format("{}{}: {}", file, where, content.error().cause);
            if (!handed_over) return base::fail(content.error());
            warnings.push_back(
                fmt::format("{} keeps the user data it was given: {}", to_text(id), to_text(content.error())));
        } else if (!is_known_user_data(*content)) {
            warnings.push_back(fmt::format(
                "{}{} does not begin as user data does, and cloud-init passes over it: let its first line say what it "
                "is, #cloud-config for one",
                file, where));
        }
        return {};
    }

    Observation observation(const std::string& vm, Sighting& sighting, const Host& host) const {
        if (auto* foreign = std::get_if<model::Foreign>(&sighting)) return std::move(*foreign);
        if (auto* unknown = std::get_if<model::Unknown>(&sighting)) return std::move(*unknown);
        const auto* found = std::get_if<Found>(&sighting);
        // One that runs without a definition is gone once it stops.
        if (found == nullptr || !found->domain.persistent) return model::Absent{};
        model::Present present{.attributes = found->seen.hardware, .needs = needs(found->seen.hardware, vm)};
        present.attributes.set("role", found->owner.role)
            .set("type", found->seen.type == host.type ? std::string(best_type) : found->seen.type)
            .set("autostart", found->domain.autostart);
        present.facts.set("uuid", found->domain.uuid).set("type", found->seen.type);
        if (found->seen.suspended) present.facts.set("suspended", found->seen.suspended->in);
        if (found->seen.seed.empty()) return present;
        Result<std::optional<Branch>> seed = seed_in(vm, found->seen.seed);
        if (!seed) return model::Unknown{seed.error()};
        if (!*seed)
            return model::Deferred{make_id(model::Kind::mount, layout_.keep().disks_volume),
                                   {.attempt = "look at",
                                    .object = found->seen.seed,
                                    .cause = "the volume that it lies on is not mounted",
                                    .advice = "it is looked at when the safe is open"}};
        // It goes where the spec now keeps the disk.
        const bool moved =
            layout_.has_cloud_init(vm) && std::filesystem::path(found->seen.seed).parent_path() != layout_.seeds(vm);
        if (moved) (*seed)->set("version", seed_is_elsewhere);
        present.attributes.set("seed", std::move(**seed));
        return present;
    }

    Result<void> define(const Resource& resource) {
        const std::string vm = resource.id.name();
        const Result<Host> host = api_->host();
        if (!host) return base::fail(host.error());
        const Sighting sighting = finder_.find(vm, View::definition);
        if (const auto* unknown = std::get_if<model::Unknown>(&sighting)) return base::fail(unknown->error);
        if (const auto* foreign = std::get_if<model::Foreign>(&sighting))
            return base::fail({.attempt = "define",
                               .object = "",
                               .cause = foreign->what,
                               .advice = foreign->advice,
                               .kind = Error::Kind::refused});
        const auto* found = std::get_if<Found>(&sighting);
        const Bytes* memory = model::get<Bytes>(resource.attributes, "memory");
        const std::string* role = model::get<std::string>(resource.attributes, "role");
        Identity identity{.name = layout_.domain_name(vm),
                          .uuid = specs::uuid_of(layout_.safe(), vm),
                          .type = host->type,
                          .owner = {.safe = layout_.safe(),
                                    .vm = vm,
                                    .role = role != nullptr ? *role : "",
                                    .memory = memory != nullptr ? memory->count : 0}};
        if (found != nullptr) identity.suspended = found->seen.suspended;
        if (const model::Value* seed = resource.attributes.find("seed")) {
            const Result<ReadySeed> ready = seeds_.prepare(vm, *seed->branch());
            if (!ready) return base::fail(ready.error());
            if (Result<void> put = seeds_.put(vm, *ready); !put) return put;
            identity.seed = ready->file.string();
        }
        if (Result<void> made = make_passable(layout_.log(vm).parent_path(), layout_.state_dir()); !made) return made;
        const std::string xml = domain_xml(identity, resource.attributes);
        if (Result<void> defined = api_->define_domain(xml); !defined) return defined;
        if (Result<void> set = api_->set_autostart(identity.uuid, false); !set) return set;
        return found != nullptr && found->domain.active ? mark_live(identity) : Result<void>{};
    }

    /// What runs keeps its mark of old, and the role in it decides what closing does to it once it has left the file.
    Result<void> mark_live(const Identity& identity) {
        const Sighting sighting = finder_.find(identity.owner.vm, View::live);
        const auto* live = std::get_if<Found>(&sighting);
        if (live == nullptr || live->owner.role == identity.owner.role) return {};
        Owner owner = live->owner;
        owner.role = identity.owner.role;
        return api_->set_metadata(identity.uuid, owner_metadata(owner), Affect::live);
    }

    const SharedApi api_;
    const Layout layout_;
    const std::string uri_;
    const DomainFinder finder_;
    const SeedStore seeds_;
};

}  // namespace

Attributes wanted_hardware(const specs::SafeSpec& spec, const specs::VmSpec& vm, const Layout& layout) {
    Attributes hardware;
    hardware.set("memory", Bytes{vm.memory->bytes})
        .set("memory-max", Bytes{vm.memory_max->bytes})
        .set("cpus", *vm.cpus)
        .set("cpus-max", *vm.cpus_max)
        .set("console", layout.log(vm.name).string());
    if (spec.network)
        hardware.set("nic", Branch()
                                .set("mac", specs::mac_of(layout.safe(), vm.name))
                                .set("network", layout.network_name())
                                .set("interface", specs::tap_of(layout.safe(), vm.name)));
    if (vm.image)
        hardware.set("disk", Branch()
                                 .set("file", layout.disk(vm.name).string())
                                 .set("format", "qcow2")
                                 .set("base", layout.base(vm.name).string())
                                 .set("base-format", image_format(image_id(**vm.image).name()).value_or("unknown")));
    if (vm.boot) {
        Branch boot;
        boot.set("kernel", layout.current(image_id(*vm.boot->kernel)).string());
        if (vm.boot->initrd) boot.set("initrd", layout.current(image_id(**vm.boot->initrd)).string());
        boot.set("cmdline", *vm.boot->cmdline);
        hardware.set("boot", std::move(boot));
    }
    return hardware;
}

std::unique_ptr<driver::Driver> make_vm_driver(SharedApi api, Layout layout, std::string uri) {
    return std::make_unique<VmDriver>(std::move(api), std::move(layout), std::move(uri));
}

}  // namespace safe::libvirt
