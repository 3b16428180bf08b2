#include "plugins/iscsi/iscsi_driver.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <shared_mutex>

#include "plugins/iscsi/attacher.hpp"
#include "reconciler/driver/secret_source.hpp"

namespace safe::iscsi {
namespace {

using model::Absent;
using model::Action;
using model::Foreign;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Observation;
using model::Presence;
using model::Present;
using model::Resource;
using model::ResourceId;
using model::Unknown;

constexpr std::string_view attached_key = "attached";
constexpr std::string_view link_key = "link";

model::Attributes attributes_of(const Address& address, bool attached, bool linked) {
    model::Attributes attributes;
    attributes.set("portal", address.endpoint.portal).set("target", address.endpoint.target).set("lun", address.lun);
    attributes.set(attached_key, attached).set(link_key, linked);
    return attributes;
}

std::optional<Address> address_in(const model::Attributes& attributes) {
    const auto* portal = model::get<std::string>(attributes, "portal");
    const auto* target = model::get<std::string>(attributes, "target");
    const auto* lun = model::get<std::int64_t>(attributes, "lun");
    if (portal == nullptr || target == nullptr || lun == nullptr) return std::nullopt;
    return Address{{*portal, *target}, static_cast<std::uint32_t>(*lun)};
}

class IscsiDriver final : public driver::Driver {
 public:
    IscsiDriver(const driver::Setting& setting, std::unique_ptr<Prober> prober, std::unique_ptr<Host> host,
                std::filesystem::path devices)
        : spec_(setting.spec),
          prober_(std::move(prober)),
          host_(std::move(host)),
          attacher_(setting.spec, setting.places, std::move(devices), *prober_, *host_) {}

    [[nodiscard]] std::span<const Kind> kinds() const override {
        static constexpr std::array mine{Kind::session};
        return mine;
    }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, Mode mode) const override {
        driver::Desire desire{};
        for (const specs::VolumeSpec& volume : spec.volumes) {
            if (!volume.iscsi) continue;
            Resource resource{make_id(Kind::session, volume.name)};
            // In every mode: what is put away is brought up for a moment when something on it must be done.
            resource.attributes = attributes_of(address_of(*volume.iscsi), true, true);
            if (mode == Mode::open || driver::Places::stays_open(spec, volume)) resource.presence = Presence::present;
            desire.resources.push_back(std::move(resource));
        }
        return desire;
    }

    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        // Steps are half done while they run: nobody is shown that.
        const std::shared_lock lock(host_mutex_);
        const auto world = attacher_.look();
        if (!world) {
            for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, Unknown{world.error()});
            snapshot.enumeration_failed = world.error();
            return snapshot;
        }
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, see(*world, id.name()));
        if (scope.enumerate)
            for (const std::string& name : names(*world))
                snapshot.observations.try_emplace(make_id(Kind::session, name), see(*world, name));
        if (!scope.ids.empty()) refuse_what_is_missing(snapshot);
        return snapshot;
    }

    [[nodiscard]] model::Assessment classify(Action action, const Resource& resource, const Observation& observed,
                                             std::span<const model::Change> changes) const override {
        model::Assessment assessment;
        const auto* present = std::get_if<Present>(&observed);
        const auto address =
            address_in(action == Action::remove && present != nullptr ? present->attributes : resource.attributes);
        assessment.summary = address ? to_text(*address) : "";
        assessment.verb = action == Action::remove ? "detach" : "attach";
        if (action != Action::change) return assessment;
        const auto touches = [&](std::string_view key) {
            return std::ranges::any_of(changes, [key](const model::Change& change) { return change.path[0] == key; });
        };
        if (touches("portal") || touches("target") || touches("lun")) {
            assessment.verb = "reattach";
            assessment.disruption = model::Disruption::downtime;
            assessment.dependents_down = true;
        } else if (touches(attached_key)) {
            // Whatever still lies on a device that is gone serves nobody any more.
            assessment.dependents_down = true;
        } else {
            assessment.verb = "link";
        }
        return assessment;
    }

    [[nodiscard]] Presence orphan(const ResourceId& /*id*/, const Present& /*observed*/, Mode mode) const override {
        return mode == Mode::open ? Presence::present : Presence::absent;
    }

    [[nodiscard]] base::Result<void> apply(const model::Step& step, const Resource& resource,
                                           const Observation& /*observed*/, const driver::Context& context) override {
        const std::string name = resource.id.name();
        if (step.action == Action::remove) {
            const std::unique_lock lock(host_mutex_);
            return attacher_.detach(name, context);
        }
        const specs::VolumeSpec* volume = spec_.volume(name);
        const auto address = address_in(resource.attributes);
        if (volume == nullptr || !volume->iscsi || !address)
            return base::fail({step.verb, to_text(resource.id), "it is no volume on iSCSI of this spec", "plan again",
                               base::Error::Kind::refused});
        auto order = order_for(*volume, *address);
        if (!order) return base::fail(std::move(order.error()));
        const auto found = attacher_.ask(*order, context);
        if (!found) return base::fail(found.error());
        const std::unique_lock lock(host_mutex_);
        return attacher_.attach(*order, *found, context);
    }

    /// Devices of a session that is lost are blocked, and keep what they are asked until `deadlines.storage`. Without
    /// the session they fail it. (To take the devices alone from the kernel waits for just those requests.)
    void wait_no_longer(const driver::Context& context) override {
        const auto world = attacher_.look();
        if (!world) return;
        for (const Session& session : world->sessions) {
            const bool waits = std::ranges::any_of(session.units, &Unit::is_blocked);
            if (session.interface != world->mark || !waits) continue;
            context.say(session.endpoint.portal +
                        " does not answer and is not waited for any longer: what was not yet written to it is lost");
            if (const auto gone = host_->log_out(session.number); !gone) context.say(to_text(gone.error()));
        }
    }

 private:
    static Observation see(const World& world, const std::string& name) {
        const Placement placement = locate(world, name);
        if (!placement.address) {
            const auto known = world.volumes.find(name);
            const auto wanted = known == world.volumes.end() ? std::nullopt : known->second.wanted;
            const Session* other = wanted ? world.theirs(wanted->endpoint) : nullptr;
            if (other == nullptr) return Absent{};
            return Foreign{
                fmt::format("iSCSI session {} to {} was made by somebody else", other->number, other->endpoint.target),
                fmt::format("if nobody needs it, `iscsiadm -m session -r {} -u`", other->number)};
        }
        Present present{attributes_of(*placement.address, placement.unit != nullptr, placement.linked)};
        if (placement.session != nullptr)
            present.facts.set("session", placement.session->number)
                .set("session state", placement.session->state)
                .set("checksums", placement.session->checksums);
        if (const Unit* unit = placement.unit; unit != nullptr)
            present.facts.set("device", unit->device)
                .set("serial", unit->serial)
                .set("state", unit->state)
                .set("capacity", model::Bytes{unit->capacity});
        return present;
    }

    void refuse_what_is_missing(model::Snapshot& snapshot) {
        const std::vector<std::string> missing = host_->missing();
        if (missing.empty()) return;
        snapshot.refusals.push_back(
            {"volumes on iSCSI",
             {"attach", "volumes on iSCSI", fmt::format("this host has no {}", fmt::join(missing, ", ")),
              "install open-iscsi", base::Error::Kind::refused}});
    }

    [[nodiscard]] base::Result<Order> order_for(const specs::VolumeSpec& volume, const Address& address) const {
        Order order{.volume = volume.name,
                    .address = address,
                    .writable = *volume.access == specs::Access::read_write,
                    .chap = std::nullopt,
                    .timeouts = {}};
        const std::uint32_t storage = std::max(1U, spec_.deadlines.storage->seconds);
        order.timeouts.replacement = storage;
        order.timeouts.login = std::clamp(storage / 6, 5U, 15U);
        if (!volume.iscsi || !volume.iscsi->chap) return order;
        const specs::ChapSpec& chap = *volume.iscsi->chap;
        auto secret = driver::read_secret(*chap.secret);
        if (!secret) return base::fail(std::move(secret.error()));
        order.chap = Chap{*chap.user, *std::move(secret)};
        return order;
    }

    const specs::SafeSpec& spec_;
    std::unique_ptr<Prober> prober_;
    std::unique_ptr<Host> host_;
    std::shared_mutex host_mutex_;  // exclusive: changes the host's sessions
    Attacher attacher_;
};

}  // namespace

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    return make_drivers(setting, make_prober(), make_host(mark_of(setting.places)));
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                          std::unique_ptr<Prober> prober, std::unique_ptr<Host> host,
                                                          std::filesystem::path devices) {
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(std::make_unique<IscsiDriver>(setting, std::move(prober), std::move(host), std::move(devices)));
    return drivers;
}

std::string mark_of(const driver::Places& places) { return "safe-" + places.safe(); }

}  // namespace safe::iscsi
