#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/revocation.hpp"
#include "plugins/luks/tokens.hpp"

namespace safe::luks {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Kind;
using model::Observation;
using model::Resource;
using model::ResourceId;

constexpr std::array kind_of_keyslots{Kind::keyslot};

ResourceId keyslot_id(const std::string& vault, const std::string& user) { return make_id(Kind::keyslot, vault, user); }

class KeyslotDriver final : public driver::Driver {
 public:
    explicit KeyslotDriver(Ground ground) : ground_(std::move(ground)) {}

    [[nodiscard]] std::span<const Kind> kinds() const override { return kind_of_keyslots; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        const specs::VolumeSpec* vault = spec.vault();
        if (vault == nullptr) return desire;
        for (const specs::UserSpec& user : spec.users)
            desire.resources.push_back({.id = keyslot_id(vault->name, user.name),
                                        .presence = model::Presence::present,
                                        .needs = {make_id(Kind::container, vault->name)}});
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        const specs::VolumeSpec* vault = ground_.vault();
        if (vault == nullptr) {
            for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, model::Absent{});
            return snapshot;
        }
        const Sighting seen = ground_.look(*vault);
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, judge(seen, id));
        if (!scope.enumerate) return snapshot;
        if (!seen.header || !seen.record) {
            // On a blank device, or one that is not ours, there is no keyslot of ours; elsewhere nobody knows.
            if (seen.what == Sighting::What::unknown) snapshot.enumeration_failed = seen.error;
            return snapshot;
        }
        for (const std::string& user : owners(*seen.header, *seen.record)) {
            const ResourceId id = keyslot_id(vault->name, user);
            if (!snapshot.observations.contains(id)) snapshot.observations.emplace(id, judge(seen, id));
        }
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> /*changes*/) const override {
        if (action != model::Action::remove)
            return {.verb = "enrol",
                    .summary = fmt::format("by `safectl user enrol {}`", resource.id.name()),
                    .waits_for = "a sponsor"};
        Assessment assessment{.verb = "revoke", .summary = "keyslot and token"};
        const auto* present = std::get_if<model::Present>(&observed);
        const std::string* lost =
            present != nullptr ? model::get<std::string>(present->facts, "without it goes") : nullptr;
        if (lost != nullptr) {
            assessment.disruption = model::Disruption::irreversible;
            assessment.destroys = *lost;
        }
        return assessment;
    }

    /// A user who left the file loses the key. A file that has no users at all, as for provisioning, says nothing of
    /// them.
    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return ground_.setting.spec.users.empty() ? model::Presence::present : model::Presence::absent;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& /*context*/) override {
        if (step.action != model::Action::remove)
            return base::fail({step.verb, to_text(resource.id), "a keyslot is only added with a key that works already",
                               fmt::format("`safectl user enrol {}`", resource.id.name()), Error::Kind::refused});
        const specs::VolumeSpec* vault = ground_.vault();
        if (vault == nullptr || resource.id.place() != vault->name)
            return base::fail({step.verb, to_text(resource.id), "there is no such vault", "", Error::Kind::refused});
        const std::unique_lock turn = ground_.turn_at(*vault);
        return revoke(ground_.header(*vault), resource.id);
    }

 private:
    [[nodiscard]] Observation judge(const Sighting& seen, const ResourceId& id) const {
        const ResourceId container = make_id(Kind::container, id.place());
        switch (seen.what) {
            case Sighting::What::unknown:
            case Sighting::What::foreign:
                return model::Unknown{seen.error};
            case Sighting::What::blank:
            case Sighting::What::unfinished:
                return model::Deferred{container, {"look at", to_text(id), "the vault is not formatted yet", ""}};
            case Sighting::What::detached:
            case Sighting::What::ours:
                break;
        }
        if (!seen.header || !seen.record)
            return model::Deferred{container, {"look at", to_text(id), "the vault is not attached", ""}};
        const std::vector<int> slots = slots_owned(*seen.header, *seen.record, id.name());
        if (slots.empty()) return model::Absent{};
        // Whoever leaves loses the keyslot first: an entry that is gone while it is there would hide who still has one.
        model::Present present{.attributes = {}, .needs = {container}};
        if (ground_.setting.spec.directory) present.needs.push_back(make_id(Kind::account, id.name()));
        const std::vector<UserToken> tokens = user_tokens(*seen.header);
        for (const UserToken& token : tokens)
            if (token.user == id.name()) present.facts.set("generation", token.generation);
        if (std::ranges::find(tokens, id.name(), &UserToken::user) == tokens.end())
            present.facts.set("token", "gone; the slot is known from the record");
        if (const auto lost = loss(*seen.header, *seen.record, slots, ground_.setting.spec.users))
            present.facts.set("without it goes", *lost);
        return present;
    }

    Result<void> revoke(const VolumeHeader& header, const ResourceId& id) {
        const Result<Taken> taken = header.take();
        if (!taken) return base::fail(taken.error());
        Edit edit{.kill = slots_owned(taken->header, taken->record, id.name()), .remove_tokens = {}, .tokens = {}};
        if (const auto lost = loss(taken->header, taken->record, edit.kill, ground_.setting.spec.users))
            return base::fail({"revoke", to_text(id), fmt::format("it is {}", *lost), "enrol somebody else first",
                               Error::Kind::refused});
        for (const UserToken& token : user_tokens(taken->header))
            if (token.user == id.name()) edit.remove_tokens.push_back(token.id);
        if (edit.kill.empty() && edit.remove_tokens.empty()) return {};
        edit.tokens = next_vault_token(taken->header);
        const Outcome<std::string> image = ground_.api->edit(taken->image, edit);
        if (!image) return base::fail(image.error().error);
        return header.put(*taken, *image);
    }

    const Ground ground_;
};

}  // namespace

std::unique_ptr<driver::Driver> make_keyslot_driver(Ground ground) {
    return std::make_unique<KeyslotDriver>(std::move(ground));
}

}  // namespace safe::luks
