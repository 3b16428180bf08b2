#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

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
    PowerDriver(const SharedApi& api, Layout layout, std::chrono::milliseconds grace)
        : layout_(std::move(layout)), finder_(api, layout_), switch_(api, layout_, grace) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kind_of_power; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode mode) const override {
        driver::Desire desire;
        const bool has_workspace =
            std::ranges::any_of(spec.vms, [](const specs::VmSpec& vm) { return *vm.role == specs::Role::workspace; });
        if (has_workspace && spec.suspend && **spec.suspend == specs::Suspend::disk)
            desire.refusals.push_back(refusal("suspend: disk", spec.suspend->at,
                                              "saving memory needs a vault, and this build has no volumes yet",
                                              "write suspend: ram until a build that has"));
        for (const specs::VmSpec& vm : spec.vms) {
            Resource resource{.id = make_id(model::Kind::power, vm.name)};
            const bool runs = *vm.role == specs::Role::service || mode == model::Mode::open;
            if (runs) {
                resource.presence = Presence::present;
                resource.attributes = wanted_hardware(spec, vm, layout_);
                resource.attributes.set("state", "running");
            }
            resource.needs = needs(vm.name, spec.network.has_value());
            desire.resources.push_back(std::move(resource));
        }
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        Result<Sightings> sightings = finder_.find(scope, View::live);
        if (!sightings) return blind(scope, sightings.error());
        model::Snapshot snapshot;  // what they warn of, the driver of vm says already
        const auto asked = [&](const ResourceId& id) { return std::ranges::find(scope.ids, id) != scope.ids.end(); };
        for (auto& [vm, sighting] : sightings->vms) {
            const ResourceId id = make_id(model::Kind::power, vm);
            Observation seen = observation(vm, sighting);
            if (std::holds_alternative<model::Present>(seen) || asked(id))
                snapshot.observations.emplace(id, std::move(seen));
        }
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> changes) const override {
        // Only a change below takes down a guest that is wanted; any other is wanted asleep.
        if (action == model::Action::remove)
            return resource.presence == Presence::present
                       ? Assessment{.verb = "shut off", .summary = ""}
                       : Assessment{.verb = "suspend", .summary = "in RAM", .keeps_ground = true};
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
            done = switch_.suspend(resource.id);
        return done ? done : base::fail(about(done.error(), resource.id));
    }

 private:
    [[nodiscard]] std::vector<ResourceId> needs(const std::string& vm, bool on_network) const {
        std::vector<ResourceId> needs{make_id(model::Kind::vm, vm)};
        if (!on_network) return needs;
        needs.push_back(make_id(model::Kind::network, layout_.safe()));
        needs.push_back(make_id(model::Kind::ruleset, "base"));
        return needs;
    }

    static Assessment classify_start(const Resource& resource, const Observation& observed) {
        const auto* absent = std::get_if<model::Absent>(&observed);
        const std::string* suspended =
            absent != nullptr ? model::get<std::string>(absent->facts, "suspended") : nullptr;
        if (suspended == nullptr) return {.verb = "start", .summary = ""};
        const model::Value* live = absent->facts.find("live");
        if (live == nullptr || live->branch() == nullptr)
            return {.verb = "start", .summary = "anew: its memory was lost while it was suspended in " + *suspended};
        if (way_to(*live->branch(), resource.attributes) == Way::restart)
            return {.verb = "restart",
                    .summary = "it was suspended, and the spec has changed since",
                    .disruption = Disruption::restart};
        return {.verb = "resume", .summary = "from " + *suspended};
    }

    Observation observation(const std::string& vm, Sighting& sighting) const {
        if (auto* foreign = std::get_if<model::Foreign>(&sighting)) return std::move(*foreign);
        if (auto* unknown = std::get_if<model::Unknown>(&sighting)) return std::move(*unknown);
        const auto* found = std::get_if<Found>(&sighting);
        if (found == nullptr) return model::Absent{};
        const Domain& domain = found->domain;
        const DomainSeen& seen = found->seen;
        const bool asleep = domain.active && domain.paused && seen.suspended;
        if (asleep || !domain.active) {
            model::Absent absent;
            if (seen.suspended) absent.facts.set("suspended", *seen.suspended);
            if (asleep) absent.facts.set("live", seen.hardware);
            return absent;
        }
        model::Present present{.attributes = seen.hardware};
        present.attributes.set("state", domain.paused ? "paused" : "running");
        const bool on_network = std::ranges::find(seen.networks, layout_.network_name()) != seen.networks.end();
        present.needs = needs(vm, on_network);
        present.facts.set("role", found->owner.role).set("memory-in-use", seen.memory_in_use);
        return present;
    }

    const Layout layout_;
    const DomainFinder finder_;
    const PowerSwitch switch_;
};

}  // namespace

std::unique_ptr<driver::Driver> make_power_driver(const SharedApi& api, Layout layout,
                                                  std::chrono::milliseconds grace) {
    return std::make_unique<PowerDriver>(api, std::move(layout), grace);
}

}  // namespace safe::libvirt
