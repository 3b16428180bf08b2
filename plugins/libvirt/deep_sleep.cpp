#include "plugins/libvirt/deep_sleep.hpp"

#include <fmt/format.h>

#include <thread>

#include "plugins/libvirt/page_cache.hpp"
#include "reconciler/base/pause.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;

constexpr auto again_after = std::chrono::milliseconds(100);

/// Breaks a save off at a moment, unless it has ended before.
class Patience {
 public:
    Patience(Api& api, std::string uuid, const driver::Context& context) {
        if (!context.insistence.asleep_by) return;
        watch_ = std::jthread(
            [&api, uuid = std::move(uuid), until = *context.insistence.asleep_by](const std::stop_token& ended) {
                // An error means that it has just ended, or has not begun yet: then it would go on unwatched.
                for (auto next = until; base::pause_until(next, ended);
                     next = std::chrono::steady_clock::now() + again_after)
                    static_cast<void>(api.abort_job(uuid));
            });
    }

 private:
    std::jthread watch_;
};

}  // namespace

Error cannot_wake(const std::string& vm, std::string cause) {
    return {
        .attempt = "wake from its saved memory",
        .object = to_text(make_id(model::Kind::power, vm)),
        .cause = std::move(cause),
        .advice = fmt::format("apply again when the cause is gone; safectl discard-state {} gives the memory up, and "
                              "the machine boots anew from its disk",
                              vm)};
}

Sleep sleep_of(const SavedFiles& files, bool incoming_is_whole, bool marked) {
    const bool whole = files.saved || (files.incoming && incoming_is_whole);
    if (marked && whole) return Sleep::saved;
    if (whole) return Sleep::unclaimed;
    if (files.used) return Sleep::cold;
    return marked ? Sleep::lost : Sleep::none;
}

Result<Sleep> DeepSleep::judge(const std::string& vm, bool marked) const {
    const Result<SavedFiles> files = memory_.look(vm);
    if (!files) return base::fail(files.error());
    const bool look_inside = files->incoming && !files->saved;
    return sleep_of(*files, look_inside && api_->saved_definition(memory_.incoming(vm).string()).has_value(), marked);
}

Result<Sleep> DeepSleep::look(const Found& found) const {
    const Result<bool> mounted = memory_.mounted();
    if (!mounted) return base::fail(mounted.error());
    if (!*mounted) return Sleep::none;
    return judge(found.owner.vm, sleeps_on_disk(found.seen));
}

fs::path DeepSleep::disk_of(const Found& found) const {
    const model::Value* disk = found.seen.hardware.find("disk");
    const std::string* file =
        disk != nullptr && disk->branch() != nullptr ? model::get<std::string>(*disk->branch(), "file") : nullptr;
    return file != nullptr ? fs::path(*file) : fs::path();
}

Result<bool> DeepSleep::is_active(const Found& found) const {
    const Result<std::optional<Domain>> looked = api_->domain_with(found.domain.uuid, View::live);
    if (!looked) return base::fail(looked.error());
    const std::optional<Domain>& domain = *looked;
    return domain && domain->active;
}

Result<void> DeepSleep::save(const Found& found, const driver::Context& context) const {
    const Patience patience(*api_, found.domain.uuid, context);
    return api_->save(found.domain.uuid, memory_.incoming(found.owner.vm).string());
}

Result<void> DeepSleep::put_to_sleep(const Found& found, const driver::Context& context) const {
    const std::string& vm = found.owner.vm;
    if (Result<void> ready = memory_.make_ready(); !ready) return ready;
    if (!found.domain.paused) {
        // Started by hand, it has run past what was saved: paused, it would look like what was restored from that.
        if (Result<void> spent = memory_.spend(vm); !spent) return spent;
        if (Result<void> paused = api_->pause(found.domain.uuid); !paused) return paused;
    }
    const Metadata mark = suspended_metadata(suspended_now(on_disk));
    for (const Affect affect : {Affect::definition, Affect::live}) {
        if (affect == Affect::definition && !found.domain.persistent) continue;
        if (Result<void> marked = api_->set_metadata(found.domain.uuid, mark, affect); !marked) return marked;
    }
    if (Result<void> cleared = memory_.clear_for(vm); !cleared) return cleared;
    if (Result<void> saved = save(found, context); !saved) {
        // libvirt may have gone on with the saving of a run that was killed, and have ended it just now.
        const Result<bool> active = is_active(found);
        if (!active || *active) return saved;
        if (!api_->saved_definition(memory_.incoming(vm).string())) return saved;
    }
    return memory_.keep(vm, disk_of(found));
}

Result<bool> DeepSleep::restore(const Found& found, const driver::Context& context) const {
    const std::string& vm = found.owner.vm;
    const bool marked = sleeps_on_disk(found.seen);
    const bool workspace = found.owner.role == to_text(specs::Role::workspace);
    if (!marked && (!workspace || !possible())) return false;
    if (!possible()) return base::fail(cannot_wake(vm, "its memory was saved in a vault, and the spec has none"));
    if (Result<void> ready = memory_.make_ready(); !ready) return base::fail(ready.error());
    if (Result<void> room = memory_.check_space(); !room) return base::fail(room.error());
    const Result<Sleep> sleep = judge(vm, marked);
    if (!sleep) return base::fail(sleep.error());
    switch (*sleep) {
        case Sleep::saved: {
            Result<void> restored = restore_saved(found);
            if (!restored) return base::fail(restored.error());
            return true;
        }
        case Sleep::lost:
            return base::fail(cannot_wake(vm, "no whole state of it is in " + memory_.saved(vm).string()));
        case Sleep::unclaimed:
            return base::fail(cannot_wake(vm, "its definition knows nothing of the memory in " +
                                                  memory_.saved(vm).string() + ": was it defined anew by hand?"));
        case Sleep::cold:
            // First the mark: without it, and without the file, the next run would find nothing to decide on.
            if (Result<void> cleared = unmark(found); !cleared) return base::fail(cleared.error());
            context.say("boots anew: it was running when the power was cut, and old memory is never used");
            break;
        case Sleep::none:
            break;
    }
    if (Result<void> forgotten = memory_.forget(vm); !forgotten) return base::fail(forgotten.error());
    return false;
}

Result<void> DeepSleep::restore_saved(const Found& found) const {
    const std::string& vm = found.owner.vm;
    const Result<SavedFiles> files = memory_.look(vm);
    if (!files) return base::fail(files.error());
    if (!files->saved)  // killed between saving and naming it
        if (Result<void> kept = memory_.keep(vm, disk_of(found)); !kept) return kept;
    if (Result<void> ours = check_ours(found); !ours) return ours;
    if (Result<void> same = memory_.check_disk(vm, disk_of(found)); !same) return same;
    const ReadAhead reading(memory_.saved(vm));
    const Result<void> restored = api_->restore(memory_.saved(vm).string());
    if (restored) return {};
    const Result<bool> active = is_active(found);  // by a run that was killed, whose libvirt went on
    if (active && *active) return {};
    return base::fail(cannot_wake(vm, restored.error().cause));
}

/// The file says itself what it starts. What was put there by another hand is not started under our name.
Result<void> DeepSleep::check_ours(const Found& found) const {
    const std::string& vm = found.owner.vm;
    const Result<std::string> xml = api_->saved_definition(memory_.saved(vm).string());
    if (!xml) return base::fail(cannot_wake(vm, xml.error().cause));
    const Result<DomainSeen> seen = parse_domain(*xml, View::live);
    if (!seen) return base::fail(cannot_wake(vm, seen.error().cause));
    const std::optional<Owner>& owner = seen->owner;
    if (owner && owner->safe == found.owner.safe && owner->vm == vm && sleeps_on_disk(*seen)) return {};
    return base::fail(cannot_wake(vm, memory_.saved(vm).string() + " holds another machine than ours"));
}

Result<void> DeepSleep::unmark(const Found& found) const {
    for (const Affect affect : {Affect::definition, Affect::live}) {
        if (affect == Affect::definition && !found.domain.persistent) continue;
        if (affect == Affect::live && !found.domain.active) continue;
        if (Result<void> cleared = api_->set_metadata(found.domain.uuid, suspended_metadata(std::nullopt), affect);
            !cleared)
            return cleared;
    }
    return {};
}

Result<void> DeepSleep::finish_waking(const Found& found, bool differs) const {
    const std::string& vm = found.owner.vm;
    // For a run that was killed libvirt may still be saving it. Its mark, written once more, waits for that, and fails
    // when it is off then: with the mark in its definition untouched, so that the next run finds its memory.
    if (found.seen.suspended)
        if (Result<void> here =
                api_->set_metadata(found.domain.uuid, suspended_metadata(found.seen.suspended), Affect::live);
            !here)
            return here;
    if (possible()) {
        if (Result<void> ready = memory_.make_ready(); !ready) return ready;
        if (Result<void> spent = memory_.spend(vm); !spent) return spent;
    }
    if (differs)
        if (Result<void> noted = api_->set_metadata(found.domain.uuid, restored_metadata(), Affect::live); !noted)
            return noted;
    if (Result<void> cleared = unmark(found); !cleared) return cleared;
    if (found.domain.paused)
        if (Result<void> resumed = api_->resume(found.domain.uuid); !resumed) return resumed;
    return possible() ? memory_.forget_spent(vm) : Result<void>{};
}

bool DeepSleep::is_still_saved(const Found& found) const {
    if (!found.domain.paused || !sleeps_on_disk(found.seen)) return false;
    const std::string& vm = found.owner.vm;
    const Sighting sighting = finder_.find(vm, View::definition);
    const auto* defined = std::get_if<Found>(&sighting);
    if (defined == nullptr) return false;
    const Result<Sleep> sleep = look(*defined);
    if (!sleep || *sleep != Sleep::saved) return false;
    const Result<SavedFiles> files = memory_.look(vm);
    return files && files->saved && memory_.check_disk(vm, disk_of(found)).has_value();
}

Result<void> DeepSleep::spend(const Found& found) const {
    const Result<bool> mounted = memory_.mounted();
    if (!mounted) return base::fail(mounted.error());
    return *mounted ? memory_.spend(found.owner.vm) : Result<void>{};
}

Result<void> DeepSleep::forget(const Found& found) const {
    const Result<bool> mounted = memory_.mounted();
    if (!mounted) return base::fail(mounted.error());
    return *mounted ? memory_.forget(found.owner.vm) : Result<void>{};
}

Result<void> DeepSleep::discard(const Found& found) const {
    const std::string& vm = found.owner.vm;
    if (found.domain.active)
        return base::fail({.attempt = "discard the saved state of",
                           .object = to_text(make_id(model::Kind::power, vm)),
                           .cause = found.domain.paused ? "it is there, paused" : "it runs",
                           .advice = "there is nothing to discard; apply brings it to where it should be",
                           .kind = Error::Kind::refused});
    if (possible()) {
        if (Result<void> ready = memory_.make_ready(); !ready) return ready;
        if (Result<void> forgotten = memory_.forget(vm); !forgotten) return forgotten;
    }
    return unmark(found);
}

}  // namespace safe::libvirt
