#include "plugins/libvirt/power_switch.hpp"

#include <fmt/format.h>

#include <set>
#include <string>

#include "reconciler/base/pause.hpp"

namespace safe::libvirt {
namespace {

using base::Error;
using base::Result;
using model::Attributes;
using model::Bytes;
using model::ResourceId;
using std::chrono::steady_clock;

constexpr auto look_every = std::chrono::milliseconds(100);
constexpr auto patience_with_balloon = std::chrono::seconds(10);

Error interrupted(std::string attempt, const ResourceId& id) {
    return {.attempt = std::move(attempt),
            .object = to_text(id),
            .cause = "interrupted",
            .advice = "apply again",
            .kind = Error::Kind::interrupted};
}

std::set<std::string> keys_of(const Attributes& a, const Attributes& b) {
    std::set<std::string> keys;
    for (const Attributes* side : {&a, &b})
        for (const model::Entry& entry : side->entries()) keys.insert(entry.key);
    return keys;
}

}  // namespace

Way way_to(const Attributes& live, const Attributes& wanted) {
    Way way = Way::nothing;
    for (const std::string& key : keys_of(live, wanted)) {
        const model::Value* is = live.find(key);
        const model::Value* should = wanted.find(key);
        if (key == "state" || (is != nullptr && should != nullptr && *is == *should)) continue;
        const std::int64_t* cpus = model::get<std::int64_t>(live, "cpus");
        const std::int64_t* wanted_cpus = model::get<std::int64_t>(wanted, "cpus");
        const bool grows = cpus != nullptr && wanted_cpus != nullptr && *wanted_cpus > *cpus;
        // A change of a maximum is a difference of its own, and restarts.
        if (key != "memory" && !(key == "cpus" && grows)) return Way::restart;
        way = Way::adjust;
    }
    return way;
}

Attributes within_reach(const Attributes& live, const Attributes& wanted) {
    Attributes reach = live;
    const Bytes* memory = model::get<Bytes>(wanted, "memory");
    const Bytes* most = model::get<Bytes>(live, "memory-max");
    if (memory != nullptr && most != nullptr && *memory <= *most) reach.set("memory", *memory);
    const std::int64_t* cpus = model::get<std::int64_t>(wanted, "cpus");
    const std::int64_t* now = model::get<std::int64_t>(live, "cpus");
    const std::int64_t* cpus_max = model::get<std::int64_t>(live, "cpus-max");
    if (cpus != nullptr && now != nullptr && cpus_max != nullptr && *cpus > *now && *cpus <= *cpus_max)
        reach.set("cpus", *cpus);
    return reach;
}

Attributes until_its_restart(const Attributes& live, const Attributes& wanted) {
    const Attributes reach = within_reach(live, wanted);
    Attributes seen = wanted;
    for (const model::Entry& entry : reach.entries()) {
        const model::Value* now = live.find(entry.key);
        if (now != nullptr && *now != entry.value) seen.set(entry.key, *now);
    }
    return seen;
}

Result<std::unique_ptr<Found>> PowerSwitch::look(const ResourceId& id) const {
    Sighting sighting = finder_.find(id.name(), View::live);
    if (auto* found = std::get_if<Found>(&sighting)) return std::make_unique<Found>(std::move(*found));
    if (const auto* unknown = std::get_if<model::Unknown>(&sighting)) return base::fail(unknown->error);
    if (const auto* foreign = std::get_if<model::Foreign>(&sighting))
        return base::fail({.attempt = "use",
                           .object = to_text(id),
                           .cause = foreign->what,
                           .advice = foreign->advice,
                           .kind = Error::Kind::refused});
    return nullptr;
}

Result<void> PowerSwitch::bring_up(const model::Resource& resource, const driver::Context& context) const {
    Result<std::unique_ptr<Found>> found = look(resource.id);
    if (!found) return base::fail(found.error());
    if (!*found)
        return base::fail({.attempt = "start",
                           .object = to_text(resource.id),
                           .cause = "it is not defined",
                           .advice = "apply again: it is defined first"});
    const Domain& domain = (*found)->domain;
    if (!domain.active) {
        const Result<bool> restored = deep_.restore(**found, context);
        if (!restored) return base::fail(restored.error());
        return *restored ? finish_waking(resource, context) : start(**found);
    }
    if (sleeps_on_disk((*found)->seen)) return finish_waking(resource, context);
    // What runs as it was saved is restarted by people, when they like.
    if (!(*found)->seen.restored && way_to((*found)->seen.hardware, resource.attributes) == Way::restart) {
        if (Result<void> off = shut_off(resource.id, context); !off) return off;
        return start(**found);
    }
    if (Result<void> adjusted = adjust(**found, resource, context); !adjusted) return adjusted;
    return wake(**found);
}

Result<void> PowerSwitch::finish_waking(const model::Resource& resource, const driver::Context& context) const {
    const Result<std::unique_ptr<Found>> found = look(resource.id);
    if (!found) return base::fail(found.error());
    if (!*found || !(*found)->domain.active)
        return base::fail(cannot_wake(resource.id.name(), "it went off while it was being restored"));
    if (Result<void> adjusted = adjust(**found, resource, context); !adjusted) return adjusted;
    const Way way = way_to((*found)->seen.hardware, resource.attributes);
    return deep_.finish_waking(**found, way == Way::restart);
}

Result<void> PowerSwitch::start(const Found& found) const {
    // A mark left from before a power cut would make the next pause by anybody look like ours.
    if (found.seen.suspended && found.domain.persistent)
        if (Result<void> cleared =
                api_->set_metadata(found.domain.uuid, suspended_metadata(std::nullopt), Affect::definition);
            !cleared)
            return cleared;
    if (Result<void> started = api_->start(found.domain.uuid); !started) return started;
    // No guest that runs or sleeps has an older seed now.
    const std::string& vm = found.owner.vm;
    const Sighting now = finder_.find(vm, View::live);
    if (const auto* running = std::get_if<Found>(&now)) return seeds_.sweep(vm, running->seen.seed);
    return {};
}

Result<void> PowerSwitch::wake(const Found& found) const {
    if (found.domain.persistent)
        if (Result<void> cleared =
                api_->set_metadata(found.domain.uuid, suspended_metadata(std::nullopt), Affect::definition);
            !cleared)
            return cleared;
    if (Result<void> cleared = api_->set_metadata(found.domain.uuid, suspended_metadata(std::nullopt), Affect::live);
        !cleared)
        return cleared;
    return found.domain.paused ? api_->resume(found.domain.uuid) : Result<void>{};
}

Result<void> PowerSwitch::adjust(const Found& found, const model::Resource& resource,
                                 const driver::Context& context) const {
    const Attributes& live = found.seen.hardware;
    const Attributes reach = within_reach(live, resource.attributes);
    const std::int64_t* cpus = model::get<std::int64_t>(reach, "cpus");
    const std::int64_t* cpus_now = model::get<std::int64_t>(live, "cpus");
    if (cpus != nullptr && cpus_now != nullptr && *cpus != *cpus_now)
        if (Result<void> set = api_->set_cpus(found.domain.uuid, static_cast<unsigned>(*cpus)); !set) return set;
    const Bytes* memory = model::get<Bytes>(reach, "memory");
    const Bytes* memory_now = model::get<Bytes>(live, "memory");
    if (memory == nullptr || memory_now == nullptr || *memory == *memory_now) return {};
    return give_memory(found, resource.id, *memory, context);
}

Result<void> PowerSwitch::give_memory(const Found& found, const ResourceId& id, Bytes memory,
                                      const driver::Context& context) const {
    if (Result<void> set = api_->set_memory(found.domain.uuid, memory.count); !set) return set;
    Owner owner = found.owner;
    owner.memory = memory.count;
    if (Result<void> noted = api_->set_metadata(found.domain.uuid, owner_metadata(owner), Affect::live); !noted)
        return noted;
    if (found.domain.paused) return {};  // it can take it when it runs again
    for (const auto end = steady_clock::now() + patience_with_balloon; steady_clock::now() < end;) {
        const Result<std::unique_ptr<Found>> now = look(id);
        if (!now) return base::fail(now.error());
        if (!*now || (*now)->seen.memory_in_use >= memory) return {};
        if (!base::pause_for(look_every, context.stop)) return base::fail(interrupted("give memory to", id));
    }
    return base::fail({.attempt = "give memory to",
                       .object = to_text(id),
                       .cause = "the guest does not take it",
                       .advice = "it needs a virtio balloon driver; without one, restart it by hand"});
}

Result<void> PowerSwitch::shut_off(const ResourceId& id, const driver::Context& context) const {
    const Result<std::unique_ptr<Found>> found = look(id);
    if (!found) return base::fail(found.error());
    if (!*found || !(*found)->domain.active) return {};
    const std::string& uuid = (*found)->domain.uuid;
    // A sleeping guest hears nobody.
    if ((*found)->domain.paused)
        if (Result<void> woken = wake(**found); !woken) return woken;
    const Result<void> asked = api_->press_power_button(uuid);
    if (asked) {
        context.say(fmt::format("{}: asked to shut down, has {} s", to_text(id),
                                std::chrono::ceil<std::chrono::seconds>(grace_).count()));
        const Result<bool> off = wait_until_off(id, context);
        if (!off) return base::fail(off.error());
        if (*off) return {};
    }
    context.say(fmt::format("{}: does not shut down by itself, its power is cut", to_text(id)));
    Result<void> cut = api_->cut_power(uuid);
    if (cut) return cut;
    // It may have ended by itself in between.
    const Result<std::unique_ptr<Found>> after = look(id);
    return after && (!*after || !(*after)->domain.active) ? Result<void>{} : cut;
}

Result<bool> PowerSwitch::wait_until_off(const ResourceId& id, const driver::Context& context) const {
    for (const auto end = steady_clock::now() + grace_;;) {
        const Result<std::unique_ptr<Found>> now = look(id);
        if (!now) return base::fail(now.error());
        if (!*now || !(*now)->domain.active) return true;
        if (steady_clock::now() >= end) return false;
        if (!base::pause_for(look_every, context.stop)) return base::fail(interrupted("shut down", id));
    }
}

Result<void> PowerSwitch::suspend(const ResourceId& id, specs::Suspend how, const driver::Context& context) const {
    const bool has_time = !context.insistence.cuts_power();
    Result<void> slept;
    if (has_time) slept = put_to_sleep(id, how, context);
    if (has_time && (slept || !context.insistence.cuts_power())) return slept;
    const Result<std::unique_ptr<Found>> found = look(id);
    if (!found) return base::fail(found.error());
    // It is off: its memory is whole, and what failed is what comes after that.
    if (!*found || !(*found)->domain.active) return slept;
    return cut_off(**found, slept ? "the time that the spec gives for it is over" : slept.error().cause, context);
}

Result<void> PowerSwitch::put_to_sleep(const ResourceId& id, specs::Suspend how, const driver::Context& context) const {
    const Result<std::unique_ptr<Found>> found = look(id);
    if (!found) return base::fail(found.error());
    if (!*found || !(*found)->domain.active) return {};
    return how == specs::Suspend::disk || sleeps_on_disk((*found)->seen) ? deep_.put_to_sleep(**found, context)
                                                                         : suspend_in_ram(**found);
}

/// What was restored, and has not run since, loses nothing. Of any other, first what was saved before is made unusable:
/// its definition will know nothing of it. Then it is marked, in its definition alone: killed in between it runs, and
/// the mark goes with its next start.
Result<void> PowerSwitch::cut_off(const Found& found, const std::string& cause, const driver::Context& context) const {
    const std::string id = to_text(make_id(model::Kind::power, found.owner.vm));
    if (deep_.is_still_saved(found)) {
        context.say(
            fmt::format("{}: was restored, and has not run since; its power is cut, its memory is still saved", id));
        return api_->cut_power(found.domain.uuid);
    }
    context.say(fmt::format("{}: does not sleep ({}); its power is cut, what was in its memory is lost", id, cause));
    const Result<void> spent = deep_.spend(found);
    Result<void> marked;
    if (found.domain.persistent)
        marked = api_->set_metadata(found.domain.uuid, suspended_metadata(suspended_now(nowhere)), Affect::definition);
    // Closing goes on without either, and says so.
    if (Result<void> cut = api_->cut_power(found.domain.uuid); !cut) return cut;
    if (!spent) return spent;
    if (!marked) return marked;
    return deep_.forget(found);
}

Result<void> PowerSwitch::suspend_in_ram(const Found& found) const {
    const Domain& domain = found.domain;
    if (!domain.paused)
        if (Result<void> paused = api_->pause(domain.uuid); !paused) return paused;
    for (const Affect affect : {Affect::live, Affect::definition}) {
        if (affect == Affect::definition && !domain.persistent) continue;
        if (Result<void> marked =
                api_->set_metadata(domain.uuid, suspended_metadata(Suspension{std::string(in_ram)}), affect);
            !marked)
            return marked;
    }
    return {};
}

}  // namespace safe::libvirt
