// A driver whose world is a map in memory, for tests of what lies above drivers. Tests reach into the world to set the
// scene and to look at what became of it. Safe from several threads, as drivers are.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconciler/base/pause.hpp"
#include "reconciler/driver/driver.hpp"

namespace safe::testing {

struct MemoryWorld {
    std::mutex mutex;
    std::map<model::ResourceId, model::Present> things;
    std::map<model::ResourceId, base::Error> unreadable;          // looking at these fails
    std::map<model::ResourceId, model::ResourceId> hidden_until;  // deferred until the other thing is there
    std::map<model::ResourceId, int> silent_for;                  // ... and for so many looks after it came
    std::optional<base::Error> unlisted = std::nullopt;           // what nobody declared cannot be looked for
    std::set<model::ResourceId> foreign;
    std::set<model::ResourceId> failing;                // apply on these fails
    std::set<model::ResourceId> lying;                  // apply on these does nothing and says it did
    std::set<model::ResourceId> dependents_down;        // a change of these brackets what needs them
    std::set<model::ResourceId> sleepers;               // removed, these still stand on what they need
    std::map<model::ResourceId, std::string> destroys;  // a change of these is irreversible
    std::map<model::ResourceId, std::string> waits_for;
    std::vector<std::string> log;                      // "add vm/a", in the order of apply
    std::function<void(const model::Step&)> on_apply;  // called without the lock, as are the others
    std::function<bool(const model::Step&)> lasts;     // whether apply lasts until a stop is asked for
    std::function<void(model::Kind)> on_look;          // with the first kind of the driver that looks
    std::function<void()> on_wait_no_longer;
};

class MemoryDriver final : public driver::Driver {
 public:
    using Desired = std::function<std::vector<model::Resource>(model::Mode)>;

    MemoryDriver(MemoryWorld& world, std::vector<model::Kind> kinds, Desired desired)
        : world_(world), kinds_(std::move(kinds)), desired_(std::move(desired)) {}
    /// The same in every mode.
    MemoryDriver(MemoryWorld& world, std::vector<model::Kind> kinds, std::vector<model::Resource> desired)
        : MemoryDriver(world, std::move(kinds), [all = std::move(desired)](model::Mode) { return all; }) {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kinds_; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& /*spec*/, model::Mode mode) const override {
        return {.resources = desired_(mode), .refusals = {}};
    }

    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        if (world_.on_look) world_.on_look(kinds_.front());
        const std::lock_guard lock(world_.mutex);
        model::Snapshot snapshot;
        for (const model::ResourceId& id : scope.ids) snapshot.observations.emplace(id, see(id));
        if (scope.enumerate) snapshot.enumeration_failed = world_.unlisted;
        if (scope.enumerate && !world_.unlisted)
            for (const auto& [id, thing] : world_.things)
                if (std::ranges::find(kinds_, id.kind) != kinds_.end()) snapshot.observations.emplace(id, see(id));
        return snapshot;
    }

    [[nodiscard]] model::Assessment classify(model::Action action, const model::Resource& resource,
                                             const model::Observation& /*observed*/,
                                             std::span<const model::Change> /*changes*/) const override {
        model::Assessment assessment{.verb = std::string(to_text(action)), .summary = ""};
        assessment.keeps_ground = action == model::Action::remove && world_.sleepers.contains(resource.id);
        assessment.cuts_off = action == model::Action::remove && resource.id.kind == model::Kind::ruleset;
        if (action == model::Action::change) {
            assessment.disruption = model::Disruption::live;
            if (world_.dependents_down.contains(resource.id)) {
                assessment.disruption = model::Disruption::downtime;
                assessment.dependents_down = true;
            }
            if (const auto lost = world_.destroys.find(resource.id); lost != world_.destroys.end()) {
                assessment.disruption = model::Disruption::irreversible;
                assessment.destroys = lost->second;
            }
        }
        if (const auto person = world_.waits_for.find(resource.id); person != world_.waits_for.end())
            assessment.waits_for = person->second;
        return assessment;
    }

    [[nodiscard]] model::Presence orphan(const model::ResourceId& id, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        const bool access =
            id.kind == model::Kind::ruleset || id.kind == model::Kind::keyslot || id.kind == model::Kind::account;
        return access ? model::Presence::absent : model::Presence::present;
    }

    [[nodiscard]] base::Result<void> apply(const model::Step& step, const model::Resource& resource,
                                           const model::Observation& /*observed*/,
                                           const driver::Context& context) override {
        if (world_.on_apply) world_.on_apply(step);
        if (world_.lasts && world_.lasts(step)) base::pause_for(std::chrono::seconds(10), context.stop);
        const std::lock_guard lock(world_.mutex);
        world_.log.push_back(std::string(to_text(step.action)) + " " + to_text(step.resource));
        if (world_.failing.contains(step.resource))
            return base::fail({step.verb, to_text(step.resource), "the world says no", ""});
        if (world_.lying.contains(step.resource)) return {};
        if (step.action == model::Action::remove)
            world_.things.erase(step.resource);
        else
            world_.things[step.resource] = {.attributes = resource.attributes, .needs = resource.needs};
        return {};
    }

    void wait_no_longer(const driver::Context& /*context*/) override {
        if (world_.on_wait_no_longer) world_.on_wait_no_longer();
    }

 private:
    model::Observation see(const model::ResourceId& id) {
        if (const auto error = world_.unreadable.find(id); error != world_.unreadable.end())
            return model::Unknown{error->second};
        if (const auto ground = world_.hidden_until.find(id); ground != world_.hidden_until.end()) {
            if (!world_.things.contains(ground->second))
                return model::Deferred{ground->second, {"look at", to_text(id), to_text(ground->second) + " is off"}};
            if (world_.silent_for[id]-- > 0)
                return model::Deferred{ground->second, {"look at", to_text(id), "no answer yet"}};
        }
        if (world_.foreign.contains(id)) return model::Foreign{"it is not ours", "rename one of the two"};
        const auto thing = world_.things.find(id);
        return thing != world_.things.end() ? model::Observation(thing->second) : model::Absent{};
    }

    MemoryWorld& world_;
    std::vector<model::Kind> kinds_;
    Desired desired_;
};

}  // namespace safe::testing
