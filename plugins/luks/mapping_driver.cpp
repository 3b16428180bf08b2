#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/file.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Kind;
using model::Observation;
using model::Resource;
using model::ResourceId;
using specs::VolumeSpec;

constexpr std::array kind_of_mappings{Kind::mapping};
constexpr std::string_view its_own = "its own";
constexpr std::string_view suspended = "suspended";

std::string plain(std::string uuid) {
    std::erase(uuid, '-');
    return uuid;
}

constexpr std::string_view uuid_prefix = "CRYPT-LUKS2-";

/// The UUID of the header in the UUID that libcryptsetup gives a mapping, "CRYPT-LUKS2-<32 digits>-<name>", with the
/// name that it was opened under, whatever it is called now; empty when it is none of that form.
std::string header_uuid_in(const Mapping& mapping, const std::string& opened_as) {
    constexpr std::size_t digits = 32;
    if (mapping.uuid.size() != uuid_prefix.size() + digits + 1 + opened_as.size() ||
        !mapping.uuid.starts_with(uuid_prefix) || !mapping.uuid.ends_with("-" + opened_as))
        return {};
    return mapping.uuid.substr(uuid_prefix.size(), digits);
}

class MappingDriver final : public driver::Driver {
 public:
    explicit MappingDriver(Ground ground)
        : ground_(std::move(ground)), prefix_(ground_.setting.places.mapping_name("")) {}

    [[nodiscard]] std::span<const Kind> kinds() const override { return kind_of_mappings; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode mode) const override {
        driver::Desire desire;
        for (const VolumeSpec& volume : spec.volumes) {
            Resource mapping{.id = make_id(Kind::mapping, volume.name), .needs = needs_of(volume.name)};
            mapping.attributes.set("access", to_text(*volume.access)).set("container", its_own).set("state", "active");
            const bool stays_open = driver::Places::stays_open(spec, volume);
            if (mode == model::Mode::open || stays_open) mapping.presence = model::Presence::present;
            if (stays_open)
                mapping.notes.push_back(fmt::format("{} stays open in every mode, under paused guests (suspend: ram)",
                                                    to_text(mapping.id)));
            desire.resources.push_back(std::move(mapping));
        }
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        const Result<std::vector<Mapping>> all = ground_.api->mappings();
        if (!all) {
            snapshot.enumeration_failed = all.error();
            for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, model::Unknown{all.error()});
            return snapshot;
        }
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, judge(id.name(), *all));
        if (!scope.enumerate) return snapshot;
        for (const Mapping& mapping : *all) {
            if (!mapping.name.starts_with(prefix_)) continue;
            const std::string volume = mapping.name.substr(prefix_.size());
            const ResourceId id = make_id(Kind::mapping, volume);
            // Another safe may be called like the beginning of a volume's name: what left the file is ours by record.
            if (volume.empty() || snapshot.observations.contains(id)) continue;
            const Result<bool> ours = on_record(volume, mapping);
            if (!ours)
                snapshot.observations.emplace(id, model::Unknown{ours.error()});
            else if (*ours)
                snapshot.observations.emplace(id, judge(volume, *all));
        }
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> changes) const override {
        if (action == model::Action::remove) return {.verb = "close", .summary = "its key is wiped"};
        if (action == model::Action::change && is_suspended(observed))
            return {.verb = "resume", .summary = "it is suspended", .disruption = model::Disruption::live};
        const VolumeSpec* volume = ground_.volume(resource.id.name());
        const bool vault = volume != nullptr && ground_.is_vault(*volume);
        Assessment assessment{.verb = action == model::Action::add ? "unlock" : "reopen",
                              .summary = vault ? "with a member's key" : "with its key from the vault"};
        if (vault && ground_.setting.keys.member() == nullptr) assessment.waits_for = "a key";
        if (action == model::Action::change) {
            assessment.disruption = model::Disruption::downtime;
            assessment.dependents_down = true;
            for (const model::Change& change : changes)
                assessment.summary += fmt::format(": {} is not as wanted", model::to_text(change.path));
        }
        return assessment;
    }

    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode mode) const override {
        return mode == model::Mode::open ? model::Presence::present : model::Presence::absent;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& observed,
                       const driver::Context& context) override {
        const std::string volume = resource.id.name();
        if (step.action == model::Action::change && is_suspended(observed)) return resume(volume);
        if (step.action != model::Action::add)
            if (Result<void> closed = close(volume, context.insistence.force ? Closing::force : Closing::gently);
                !closed)
                return closed;
        return step.action == model::Action::remove ? Result<void>() : open(volume, context);
    }

 private:
    // --- looking

    [[nodiscard]] std::vector<ResourceId> needs_of(const std::string& volume) const {
        std::vector<ResourceId> needs{make_id(Kind::container, volume)};
        const VolumeSpec* vault = ground_.vault();
        if (vault != nullptr && vault->name != volume) needs.push_back(make_id(Kind::mount, vault->name));
        return needs;
    }

    /// What we opened, even if somebody has renamed it; else what has its name.
    [[nodiscard]] const Mapping* find(const std::vector<Mapping>& all, const std::string& volume) const {
        const std::string name = ground_.setting.places.mapping_name(volume);
        auto found =
            std::ranges::find_if(all, [&](const Mapping& mapping) { return !header_uuid_in(mapping, name).empty(); });
        if (found == all.end()) found = std::ranges::find(all, name, &Mapping::name);
        return found != all.end() ? &*found : nullptr;
    }

    [[nodiscard]] Result<bool> on_record(const std::string& volume, const Mapping& mapping) const {
        const auto record = HeaderStore(ground_.setting.places.headers(volume)).record();
        if (!record) return base::fail(record.error());
        return *record && plain((*record)->header.uuid) == header_uuid_in(mapping, mapping.name);
    }

    [[nodiscard]] Observation judge(const std::string& volume, const std::vector<Mapping>& all) const {
        const Mapping* mapping = find(all, volume);
        if (mapping == nullptr) return judge_without(volume, all);
        const std::string name = ground_.setting.places.mapping_name(volume);
        const std::string uuid = header_uuid_in(*mapping, name);
        if (uuid.empty())
            return model::Foreign{
                fmt::format("the device {} was not made for a LUKS2 volume of that name", mapping->name),
                fmt::format("if nobody needs it: `dmsetup remove {}`", mapping->name)};
        const auto record = HeaderStore(ground_.setting.places.headers(volume)).record();
        if (!record) return model::Unknown{record.error()};
        model::Present present{.attributes = {}, .needs = needs_of(volume)};
        present.attributes.set("access", mapping->read_only ? "read-only" : "read-write")
            .set("container",
                 !*record || plain((*record)->header.uuid) == uuid ? std::string(its_own) : "another: " + uuid)
            .set("state", state_of(*mapping));
        if (mapping->name != name) present.attributes.set("name", mapping->name);
        present.facts.set("device", mapping->device).set("uuid", mapping->uuid);
        return present;
    }

    /// What is open of the volume was not opened by us: it is not ours to close, and the volume is not closed.
    [[nodiscard]] Observation judge_without(const std::string& volume, const std::vector<Mapping>& all) const {
        const auto record = HeaderStore(ground_.setting.places.headers(volume)).record();
        if (!record || !*record) return model::Absent{};
        const std::string uuid = std::string(uuid_prefix) + plain((*record)->header.uuid) + "-";
        const auto open = std::ranges::find_if(all, [&](const Mapping& one) { return one.uuid.starts_with(uuid); });
        if (open == all.end()) return model::Absent{};
        return model::Unknown{{"look at", "mapping/" + volume, fmt::format("somebody has opened it as {}", open->name),
                               fmt::format("if nobody needs that: `cryptsetup close {}`", open->name)}};
    }

    static std::string state_of(const Mapping& mapping) {
        if (mapping.target != "crypt") return mapping.target == "error" ? "closed by force, still held" : "not opened";
        return std::string(mapping.suspended ? suspended : "active");
    }

    static bool is_suspended(const Observation& observed) {
        const auto* present = std::get_if<model::Present>(&observed);
        const auto* state = present != nullptr ? model::get<std::string>(present->attributes, "state") : nullptr;
        return state != nullptr && *state == suspended;
    }

    // --- doing

    /// Whatever stands on it is left standing: taking that down would wait for the device. Where its key was wiped,
    /// what waits to be written is given up by nobody but who closes.
    Result<void> resume(const std::string& volume) {
        const Result<bool> resumed = let_write(volume);
        if (!resumed) return base::fail(resumed.error());
        if (*resumed) return {};
        return base::fail({"resume", "mapping/" + volume,
                           "its key was wiped (cryptsetup luksSuspend), and what is unsaved waits for it",
                           "`safectl close` gives that up at its deadline; then open the safe again",
                           Error::Kind::refused});
    }

    Result<void> open(const std::string& name, const driver::Context& context) {
        const VolumeSpec* volume = ground_.volume(name);
        if (volume == nullptr) return base::fail({"open", "mapping/" + name, "no such volume is declared", ""});
        const VolumeHeader header = ground_.header(*volume);
        std::unique_lock turn = ground_.turn_at(*volume);
        const Result<Taken> taken = header.take_for_trying();
        turn.unlock();  // what follows is done with what was taken, and trying a key takes long
        if (!taken) return base::fail(taken.error());
        if (cipher_of(taken->header) != *volume->encryption.cipher ||
            key_bits_of(taken->header) != *volume->encryption.key_size)
            return base::fail({"open", "mapping/" + name, "it is not encrypted as the spec says", "plan again",
                               Error::Kind::refused});
        const Result<Unlock> unlock = ground_.unlock(*volume, taken->header);
        if (!unlock) return base::fail(unlock.error());
        const bool read_only = *volume->access == specs::Access::read_only;
        // Before the mapping is there, so that it is never missing; without the mapping it allows nothing.
        if (!read_only && has_provisioning_token(taken->header))
            if (Result<void> marked = mark(name); !marked) return marked;
        context.say("trying the key");
        const Outcome<int> slot = ground_.api->activate(
            taken->image, *unlock,
            {.name = ground_.setting.places.mapping_name(name), .device = header.device(), .read_only = read_only});
        if (slot) return {};
        const driver::MemberKey* member = ground_.setting.keys.member();
        return base::fail(explain(slot.error(), "mapping/" + name,
                                  ground_.is_vault(*volume) && member != nullptr ? member->user : ""));
    }

    [[nodiscard]] Result<void> mark(const std::string& volume) const {
        const std::filesystem::path marker = ground_.marker(volume);
        std::error_code error;
        std::filesystem::create_directories(marker.parent_path(), error);
        if (error) return base::fail({"make", marker.parent_path().string(), error.message(), ""});
        return base::replace_file(marker, {}, 0644);
    }

    Result<void> close(const std::string& volume, Closing how) {
        // Without its key, only force helps whom it holds; whether anybody does is seen next.
        if (how == Closing::gently)
            if (const Result<bool> resumed = let_write(volume); !resumed) return base::fail(resumed.error());
        const Result<std::vector<Mapping>> all = ground_.api->mappings();
        if (!all) return base::fail(all.error());
        if (const Mapping* mapping = find(*all, volume); mapping != nullptr)
            if (const Outcome<void> closed = ground_.api->deactivate(mapping->name, how); !closed)
                return base::fail(still_held(closed.error(), volume, mapping->name));
        const Result<std::vector<Mapping>> left = ground_.api->mappings();
        if (!left) return base::fail(left.error());
        if (const Mapping* there = find(*left, volume); there != nullptr)
            return base::fail({"close", "mapping/" + volume,
                               fmt::format("the device {} ({}) is still there", there->name, there->device),
                               "look at `dmsetup info`"});
        const Observation seen = judge_without(volume, *left);
        if (const auto* unknown = std::get_if<model::Unknown>(&seen)) return base::fail(unknown->error);
        if (::unlink(ground_.marker(volume).c_str()) != 0 && errno != ENOENT)
            return base::fail({"remove", ground_.marker(volume).string(), base::errno_text(errno), ""});
        return {};
    }

    /// What is unsaved above a suspended device can be written from now on. false: its key was wiped.
    [[nodiscard]] Result<bool> let_write(const std::string& volume) const {
        const Result<std::vector<Mapping>> all = ground_.api->mappings();
        if (!all) return base::fail(all.error());
        const Mapping* mapping = find(*all, volume);
        if (mapping == nullptr || !mapping->suspended) return true;
        return ground_.api->resume(mapping->name);
    }

    [[nodiscard]] Error still_held(const Failure& failure, const std::string& volume, const std::string& name) const {
        Error error = failure.error;
        error.object = "mapping/" + volume;
        if (failure.code != Failure::Code::in_use) return error;
        const Result<std::vector<Mapping>> all = ground_.api->mappings();
        const Mapping* mapping = all ? find(*all, volume) : nullptr;
        if (mapping != nullptr && !mapping->holders.empty())
            error.cause = fmt::format("{} still holds it", fmt::join(mapping->holders, ", "));
        if (mapping != nullptr && mapping->suspended)
            error.cause += "; it is suspended and its key was wiped, so what is unsaved can be written no more";
        if (mapping != nullptr && mapping->target == "error")
            error.cause += "; its key is wiped, and whoever holds it reads and writes only errors";
        if (error.advice.empty())
            error.advice =
                fmt::format("see who holds it: `fuser -vam /dev/mapper/{0}`, `grep {0} /proc/*/mountinfo`", name);
        return error;
    }

    const Ground ground_;
    const std::string prefix_;
};

}  // namespace

std::unique_ptr<driver::Driver> make_mapping_driver(Ground ground) {
    return std::make_unique<MappingDriver>(std::move(ground));
}

}  // namespace safe::luks
