#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <thread>

#include "plugins/libvirt/deep_sleep.hpp"
#include "plugins/libvirt/domain_finder.hpp"
#include "plugins/libvirt/domain_xml.hpp"
#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/power_switch.hpp"
#include "specs/identity.hpp"

namespace safe::libvirt {
namespace {

using base::Result;
using model::Assessment;
using model::Attributes;
using model::Disruption;
using model::Observation;
using model::Presence;
using model::Resource;
using model::ResourceId;

constexpr std::array kind_of_power{model::Kind::power};

std::string summary(const Way way, std::span<const model::Change> changes) {
    std::string text;
    for (const model::Change& change : changes)
        if (const std::string path = model::to_text(change.path); text.find(path) == std::string::npos)
            text += (text.empty() ? "" : ", ") + path;
    return (way == Way::restart ? "for " : "") + text;
}

class PowerDriver final : public driver::Driver {
 public:
    PowerDriver(const SharedApi& api, Layout layout, specs::Suspend suspend, std::chrono::milliseconds grace)
        : layout_(std::move(layout)),
          suspend_(suspend),
          finder_(api, layout_),
          deep_(api, layout_),
          switch_(api, layout_, grace) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kind_of_power; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode mode) const override {
        driver::Desire desire;
        const bool has_workspace =
            std::ranges::any_of(spec.vms, [](const specs::VmSpec& vm) { return *vm.role == specs::Role::workspace; });
        if (has_workspace && spec.suspend && **spec.suspend == specs::Suspend::disk && spec.vault() == nullptr)
            desire.refusals.push_back(refusal("suspend: disk", spec.suspend->at,
                                              "saving memory needs a vault, and the spec has none",
                                              "declare a volume with role: vault, or write suspend: ram"));
        for (const specs::VmSpec& vm : spec.vms) {
            Resource resource{.id = make_id(model::Kind::power, vm.name)};
            const bool runs = *vm.role == specs::Role::service || mode == model::Mode::open;
            if (runs) {
                resource.presence = Presence::present;
                resource.attributes = wanted_hardware(spec, vm, layout_);
                resource.attributes.set("state", "running");
            }
            resource.needs = needs(vm.name, spec.network.has_value());
            if (*vm.role == specs::Role::workspace) add_storage(resource.needs, vm.image.has_value());
            if (!vm.mounts.empty()) resource.needs.push_back(make_id(model::Kind::ruleset, "storage"));
            desire.resources.push_back(std::move(resource));
        }
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        note(scope.wanted);
        Result<Sightings> sightings = finder_.find(scope, View::live);
        if (!sightings) return blind(scope, sightings.error());
        model::Snapshot snapshot;  // what they warn of, the driver of vm says already
        const auto asked = [&](const ResourceId& id) { return std::ranges::find(scope.ids, id) != scope.ids.end(); };
        for (auto& [vm, sighting] : sightings->vms) {
            const ResourceId id = make_id(model::Kind::power, vm);
            Observation seen = observation(vm, sighting, snapshot.warnings);
            if (std::holds_alternative<model::Present>(seen) || asked(id))
                snapshot.observations.emplace(id, std::move(seen));
        }
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> changes) const override {
        // Only a change below takes down a guest that is wanted; any other is wanted asleep.
        if (action == model::Action::remove)
            return resource.presence == Presence::present ? Assessment{.verb = "shut off", .summary = ""}
                                                          : classify_sleep(resource.id.name(), observed);
        if (action == model::Action::add) return classify_start(resource, observed);
        const auto* present = std::get_if<model::Present>(&observed);
        const Way way = present != nullptr ? way_to(present->attributes, resource.attributes) : Way::restart;
        switch (way) {
            case Way::restart:
                return {.verb = "restart", .summary = summary(way, changes), .disruption = Disruption::restart};
            case Way::adjust:
                return {.verb = "adjust", .summary = summary(way, changes), .disruption = Disruption::live};
            case Way::nothing:
                break;
        }
        const std::string* slept = suspended(observed);
        if (slept != nullptr && *slept == on_disk)
            return {.verb = "resume", .summary = "its memory is back from the vault"};
        if (slept != nullptr && *slept == in_ram) return {.verb = "resume", .summary = "from ram"};
        return {.verb = "resume", .summary = "somebody paused it", .disruption = Disruption::live};
    }

    [[nodiscard]] Presence orphan(const ResourceId& /*id*/, const model::Present& observed,
                                  model::Mode mode) const override {
        const std::string* role = model::get<std::string>(observed.facts, "role");
        const bool service = role != nullptr && *role == to_text(specs::Role::service);
        return service || mode == model::Mode::open ? Presence::present : Presence::absent;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& context) override {
        Result<void> done;
        if (step.action != model::Action::remove)
            done = switch_.bring_up(resource, context);
        else if (step.bracket)
            done = switch_.shut_off(resource.id, context);
        else
            done = switch_.suspend(resource.id, way_of(resource.id.name()), context);
        return done ? done : base::fail(about(done.error(), resource.id));
    }

 private:
    /// What left the file sleeps in the vault where there is one: no volume stays open for it, nor does the spec have
    /// to say how guests sleep.
    [[nodiscard]] specs::Suspend way_of(const std::string& vm) const {
        const Keep& keep = layout_.keep();
        return keep.vault.empty() || keep.workspaces.contains(vm) ? suspend_ : specs::Suspend::disk;
    }

    /// Asleep in RAM by an earlier spec, with its disk on a volume that this one closes: it is not done with, or the
    /// volume would be cut from under it.
    [[nodiscard]] bool loses_its_ground(const Found& found) const {
        const model::Value* disk = found.seen.hardware.find("disk");
        if (way_of(found.owner.vm) != specs::Suspend::disk || layout_.keep().disks_stay || disk == nullptr ||
            disk->branch() == nullptr)
            return false;
        return std::filesystem::path(text_of(*disk->branch(), "file")).parent_path() == layout_.keep().disks;
    }

    [[nodiscard]] std::vector<ResourceId> needs(const std::string& vm, bool on_network) const {
        std::vector<ResourceId> needs{make_id(model::Kind::vm, vm)};
        if (!on_network) return needs;
        needs.push_back(make_id(model::Kind::network, layout_.safe()));
        needs.push_back(make_id(model::Kind::ruleset, "base"));
        return needs;
    }

    /// What a workspace VM rests on besides: its saved memory and its disk.
    void add_storage(std::vector<ResourceId>& needs, bool has_disk) const {
        const Keep& keep = layout_.keep();
        if (!keep.vault.empty()) needs.push_back(make_id(model::Kind::mount, keep.vault));
        if (has_disk && !keep.disks_volume.empty() && keep.disks_volume != keep.vault)
            needs.push_back(make_id(model::Kind::mount, keep.disks_volume));
    }

    static const std::string* suspended(const Observation& observed) {
        if (const auto* absent = std::get_if<model::Absent>(&observed))
            return model::get<std::string>(absent->facts, "suspended");
        const auto* present = std::get_if<model::Present>(&observed);
        return present != nullptr ? model::get<std::string>(present->facts, "suspended") : nullptr;
    }

    [[nodiscard]] Assessment classify_sleep(const std::string& vm, const Observation& observed) const {
        const std::string* begun = suspended(observed);
        if (way_of(vm) == specs::Suspend::disk || (begun != nullptr && *begun == on_disk))
            return {.verb = "suspend", .summary = "to disk, in the vault"};
        return {.verb = "suspend", .summary = "in RAM", .keeps_ground = true};
    }

    static Assessment classify_start(const Resource& resource, const Observation& observed) {
        const auto* absent = std::get_if<model::Absent>(&observed);
        const std::string* slept = suspended(observed);
        if (absent == nullptr) return {.verb = "start", .summary = ""};
        if (const std::string* saved = model::get<std::string>(absent->facts, "saved-memory"); saved != nullptr)
            return {.verb = "start", .summary = "anew: it was running when the power was cut"};
        if (slept == nullptr) return {.verb = "start", .summary = ""};
        if (*slept == nowhere)
            return {.verb = "start",
                    .summary = "anew: it did not sleep when the safe was closed, and its power was cut"};
        if (*slept == on_disk) {
            const std::string* at = model::get<std::string>(absent->facts, "suspended-at");
            return {.verb = "restore", .summary = "from memory saved" + (at != nullptr ? " " + *at : std::string())};
        }
        const model::Value* live = absent->facts.find("live");
        if (live == nullptr || live->branch() == nullptr)
            return {.verb = "start", .summary = "anew: its memory was lost while it was suspended in " + *slept};
        if (way_to(*live->branch(), resource.attributes) == Way::restart)
            return {.verb = "restart",
                    .summary = "it was suspended, and the spec has changed since",
                    .disruption = Disruption::restart};
        return {.verb = "resume", .summary = "from " + *slept};
    }

    Observation observation(const std::string& vm, Sighting& sighting, std::vector<std::string>& warnings) const {
        if (auto* foreign = std::get_if<model::Foreign>(&sighting)) return std::move(*foreign);
        if (auto* unknown = std::get_if<model::Unknown>(&sighting)) return std::move(*unknown);
        const auto* found = std::get_if<Found>(&sighting);
        if (found == nullptr) return model::Absent{};
        const bool in_memory = found->seen.suspended && found->seen.suspended->in == in_ram;
        if (!found->domain.active) return asleep_or_off(*found);
        if (found->domain.paused && in_memory && loses_its_ground(*found)) {
            warnings.push_back(fmt::format(
                "{} sleeps in RAM, on a volume that closes now: open the safe, and the next close saves its "
                "memory; closed without that, it loses it",
                to_text(make_id(model::Kind::power, vm))));
        } else if (found->domain.paused && in_memory) {
            if (suspend_ == specs::Suspend::disk)
                warnings.push_back(
                    fmt::format("{} sleeps in RAM: suspend: disk takes effect at the next close, and what its disk "
                                "lies on stays in "
                                "use until then",
                                to_text(make_id(model::Kind::power, vm))));
            model::Absent absent = facts_of_sleep(*found);
            absent.facts.set("live", found->seen.hardware);
            return absent;
        }
        return awake(*found, warnings);
    }

    static model::Absent facts_of_sleep(const Found& found) {
        model::Absent absent;
        if (!found.seen.suspended) return absent;
        absent.facts.set("suspended", found.seen.suspended->in);
        if (!found.seen.suspended->at.empty()) absent.facts.set("suspended-at", found.seen.suspended->at);
        return absent;
    }

    [[nodiscard]] Observation asleep_or_off(const Found& found) const {
        model::Absent absent = facts_of_sleep(found);
        const Result<Sleep> sleep = deep_.look(found);
        if (!sleep) return model::Unknown{sleep.error()};
        if (*sleep == Sleep::cold) absent.facts.set("saved-memory", "used");
        return absent;
    }

    Observation awake(const Found& found, std::vector<std::string>& warnings) const {
        const DomainSeen& seen = found.seen;
        model::Present present{.attributes = seen.hardware};
        if (seen.restored) {
            // Not as its definition says: that changes while a plan is carried out, and this may not for it.
            if (const Attributes wanted = noted(found.owner.vm); !wanted.empty())
                present.attributes = until_its_restart(seen.hardware, wanted);
            present.facts.set("as-saved", seen.hardware);
            warnings.push_back(fmt::format("{} runs as it was saved: what the spec changed since waits for its restart",
                                           to_text(make_id(model::Kind::power, found.owner.vm))));
        }
        if (const std::optional<Observation> blind = compare_seeds(found, warnings)) return *blind;
        const bool deep = sleeps_on_disk(seen);
        present.attributes.set("state", found.domain.paused ? "paused"
                                        : deep              ? "running past its saved memory"
                                                            : "running");
        const bool on_network = std::ranges::find(seen.networks, layout_.network_name()) != seen.networks.end();
        present.needs = needs(found.owner.vm, on_network);
        if (found.owner.role == to_text(specs::Role::workspace))
            add_storage(present.needs, seen.hardware.find("disk") != nullptr);
        present.facts.set("role", found.owner.role).set("memory-in-use", seen.memory_in_use);
        if (seen.suspended) present.facts.set("suspended", seen.suspended->in);
        return present;
    }

    /// For a guest that runs as it was saved: what waits for its restart is no difference, and what that is only what
    /// is wanted can tell. Looked at by itself for a step, it is seen as the plan saw it.
    void note(std::span<const Resource> wanted) {
        if (wanted.empty()) return;
        const std::lock_guard lock(mutex_);
        wanted_.clear();
        for (const Resource& resource : wanted) wanted_.emplace(resource.id.name(), resource.attributes);
    }

    /// Empty for a guest that is not wanted to run.
    [[nodiscard]] Attributes noted(const std::string& vm) const {
        const std::lock_guard lock(mutex_);
        const auto wanted = wanted_.find(vm);
        return wanted != wanted_.end() ? wanted->second : Attributes();
    }

    /// cloud-init reads its seed when a guest boots: a newer one is worth no restart, but a word. What the definition
    /// could not be asked for is returned.
    std::optional<Observation> compare_seeds(const Found& found, std::vector<std::string>& warnings) const {
        const std::string& vm = found.owner.vm;
        if (found.seen.restored || (found.seen.seed.empty() && !layout_.has_cloud_init(vm))) return std::nullopt;
        const Sighting next = finder_.find(vm, View::definition);
        if (const auto* unknown = std::get_if<model::Unknown>(&next)) return *unknown;
        const auto* defined = std::get_if<Found>(&next);
        if (defined != nullptr && defined->domain.persistent && defined->seen.seed != found.seen.seed)
            warnings.push_back(
                fmt::format("{} booted with older cloud-init data: what is new takes effect when it next starts",
                            to_text(make_id(model::Kind::power, vm))));
        return std::nullopt;
    }

    const Layout layout_;
    const specs::Suspend suspend_;
    const DomainFinder finder_;
    const DeepSleep deep_;
    const PowerSwitch switch_;

    mutable std::mutex mutex_;
    std::map<std::string, Attributes> wanted_;  // by the name of the VM, of the last look at everything; guarded
};

}  // namespace

std::unique_ptr<driver::Driver> make_power_driver(const SharedApi& api, Layout layout, specs::Suspend suspend,
                                                  std::chrono::milliseconds grace) {
    return std::make_unique<PowerDriver>(api, std::move(layout), suspend, grace);
}

}  // namespace safe::libvirt
