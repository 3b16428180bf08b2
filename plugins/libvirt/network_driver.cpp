#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "plugins/libvirt/domain_xml.hpp"
#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/network_xml.hpp"
#include "specs/identity.hpp"

namespace safe::libvirt {
namespace {

using base::Error;
using base::Result;
using model::Assessment;
using model::Attributes;
using model::Branch;
using model::Disruption;
using model::Observation;
using model::Resource;
using model::ResourceId;

constexpr std::array kind_of_networks{model::Kind::network};

const Branch& reservations_of(const Attributes& attributes) {
    static const Branch none;
    const model::Value* value = attributes.find("reservations");
    return value != nullptr && value->branch() != nullptr ? *value->branch() : none;
}

/// What only a network that is made anew takes on.
Attributes structure_of(const Attributes& attributes) {
    Attributes structure;
    for (const model::Entry& entry : attributes.entries())
        if (entry.key != "reservations" && entry.key != "autostart" && entry.key != "state")
            structure.set(entry.key, entry.value);
    return structure;
}

/// The live reservations; one that the definition has otherwise, or that only one of the two has, is marked as
/// differing.
Branch merge_reservations(const Branch& live, const Branch& definition) {
    Branch merged;
    for (const Branch* side : {&definition, &live})
        for (const model::Entry& entry : side->entries()) {
            const model::Value* here = live.find(entry.key);
            const model::Value* lasting = definition.find(entry.key);
            if (here != nullptr && lasting != nullptr && *here == *lasting) {
                merged.set(entry.key, entry.value);
                continue;
            }
            Branch marked = *entry.value.branch();
            marked.set("only", here == nullptr ? "after a restart" : "until a restart");
            merged.set(entry.key, std::move(marked));
        }
    return merged;
}

class NetworkDriver final : public driver::Driver {
 public:
    NetworkDriver(SharedApi api, Layout layout)
        : api_(std::move(api)),
          layout_(std::move(layout)),
          id_(make_id(model::Kind::network, layout_.safe())),
          identity_{.name = layout_.network_name(),
                    .uuid = specs::uuid_of(layout_.safe(), ""),
                    .mac = specs::mac_of(layout_.safe(), ""),
                    .owner = {.safe = layout_.safe()}} {}

    [[nodiscard]] std::span<const model::Kind> kinds() const override { return kind_of_networks; }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, model::Mode /*mode*/) const override {
        driver::Desire desire;
        if (!spec.network) return desire;
        if (spec.network->uplink)
            desire.refusals.push_back(refusal("network.uplink", spec.network->uplink->at,
                                              "this build does not connect a safe to the outside yet",
                                              "leave it out until a build that does"));
        Branch reservations;
        for (const specs::VmSpec& vm : spec.vms)
            if (vm.address)
                reservations.set(
                    vm.name,
                    Branch().set("mac", specs::mac_of(layout_.safe(), vm.name)).set("address", to_text(**vm.address)));
        desire.resources.push_back({.id = id_,
                                    .presence = model::Presence::present,
                                    .attributes = Attributes()
                                                      .set("bridge", *spec.network->bridge)
                                                      .set("address", to_text(*spec.network->address))
                                                      .set("forward", "open")
                                                      .set("dns", false)
                                                      .set("reservations", std::move(reservations))
                                                      .set("autostart", true)
                                                      .set("state", "active")});
        return desire;
    }

    model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        const Result<std::vector<Network>> networks = api_->networks();
        if (!networks) return blind(scope, networks.error());
        model::Snapshot snapshot;
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, model::Absent{});
        Observation ours = judge(*networks, scope.wanted);
        if (auto* present = std::get_if<model::Present>(&ours)) note_sleepers(*present);
        const bool there = std::holds_alternative<model::Present>(ours);
        if (snapshot.observations.contains(id_) || (scope.enumerate && there))
            snapshot.observations.insert_or_assign(id_, std::move(ours));
        return snapshot;
    }

    [[nodiscard]] Assessment classify(model::Action action, const Resource& resource, const Observation& observed,
                                      std::span<const model::Change> changes) const override {
        if (action == model::Action::remove)
            return {.verb = "remove", .summary = "", .disruption = Disruption::downtime};
        if (action == model::Action::add) return {.verb = "create", .summary = summary(resource.attributes)};
        const auto touches = [&](std::string_view key) {
            return std::ranges::any_of(changes, [&](const model::Change& c) { return c.path.front() == key; });
        };
        const auto* present = std::get_if<model::Present>(&observed);
        const std::string* state = present != nullptr ? model::get<std::string>(present->attributes, "state") : nullptr;
        const bool down = state != nullptr && *state == "inactive";
        // Guests that were on a network when it went down are not on it again when it comes back: they must go down
        // too.
        if (down)
            return {.verb = "start",
                    .summary = summary(resource.attributes),
                    .disruption = Disruption::live,
                    .dependents_down = true};
        const bool structural = touches("state") || std::ranges::any_of(changes, [](const model::Change& change) {
                                    const std::string& key = change.path.front();
                                    return key != "reservations" && key != "autostart";
                                });
        const std::string* sleeper = present != nullptr ? model::get<std::string>(present->facts, "sleeper") : nullptr;
        if (structural && sleeper != nullptr)
            return {
                .verb = "replace",
                .summary = summary(resource.attributes),
                .disruption = Disruption::irreversible,
                .destroys = fmt::format("the memory of {}, which sleeps on it; undo this change, open the safe, and "
                                        "make it then",
                                        *sleeper)};
        if (structural)
            return {.verb = "replace",
                    .summary = summary(resource.attributes),
                    .disruption = Disruption::downtime,
                    .dependents_down = true};
        return {.verb = "update",
                .summary = "in place",
                .disruption = touches("reservations") ? Disruption::live : Disruption::none};
    }

    [[nodiscard]] model::Presence orphan(const ResourceId& /*id*/, const model::Present& /*observed*/,
                                         model::Mode /*mode*/) const override {
        return model::Presence::present;
    }

    Result<void> apply(const model::Step& step, const Resource& resource, const Observation& /*observed*/,
                       const driver::Context& /*context*/) override {
        if (step.action == model::Action::remove)
            return base::fail({.attempt = "remove",
                               .object = to_text(id_),
                               .cause = "this build does not remove networks",
                               .advice = "virsh net-undefine it by hand",
                               .kind = Error::Kind::refused});
        // Looked at again rather than remembered: whatever a killed run left is put right from where it stands.
        const Result<std::vector<Network>> networks = api_->networks();
        if (!networks) return base::fail(about(networks.error(), id_));
        const auto found = std::ranges::find(*networks, identity_.name, &Network::name);
        Network network = found != networks->end() ? *found : Network{.name = identity_.name};
        Result<void> done = settle_definition(network, resource.attributes);
        if (done && !network.autostart) done = api_->set_network_autostart(identity_.name, true);
        if (done && !network.active) done = api_->start_network(identity_.name);
        return done ? done : base::fail(about(done.error(), id_));
    }

 private:
    static std::string summary(const Attributes& attributes) {
        const std::string* bridge = model::get<std::string>(attributes, "bridge");
        const std::string* address = model::get<std::string>(attributes, "address");
        const std::size_t count = reservations_of(attributes).entries().size();
        return fmt::format("bridge {}, {}, {} address{} by DHCP", bridge != nullptr ? *bridge : "?",
                           address != nullptr ? *address : "?", count, count == 1 ? "" : "es");
    }

    [[nodiscard]] Observation judge(const std::vector<Network>& networks, std::span<const Resource> wanted) const {
        for (const Network& network : networks) {
            const Result<NetworkSeen> seen = parse_network_xml(network.definition);
            if (!seen) return model::Unknown{about(seen.error(), id_)};
            if (network.name == identity_.name || seen->uuid == identity_.uuid) return judge(network, *seen);
        }
        for (const Network& network : networks)
            if (const std::optional<Observation> taken = bridge_taken(network, wanted)) return *taken;
        return model::Absent{};
    }

    [[nodiscard]] Observation judge(const Network& network, const NetworkSeen& seen) const {
        if (network.name != identity_.name)
            return model::Foreign{
                fmt::format("the libvirt network {} has the UUID of this safe's", network.name),
                fmt::format("give it another UUID, or remove it: virsh net-undefine {}", network.name)};
        if (!seen.owner || seen.owner->safe != layout_.safe() || seen.uuid != identity_.uuid)
            return model::Foreign{fmt::format("the libvirt network {} was not made by this safe", network.name),
                                  fmt::format("rename it, or remove it: virsh net-undefine {}", network.name)};
        model::Present present{.attributes = seen.attributes};
        present.attributes.set("autostart", network.autostart).set("state", network.active ? "active" : "inactive");
        if (!network.active) return present;
        const Result<NetworkSeen> live = parse_network_xml(network.live);
        if (!live) return model::Unknown{about(live.error(), id_)};
        if (structure_of(live->attributes) != structure_of(seen.attributes))
            present.attributes.set("state", "active, from an older definition");
        present.attributes.set("reservations",
                               merge_reservations(reservations_of(live->attributes), reservations_of(seen.attributes)));
        return present;
    }

    [[nodiscard]] std::optional<Observation> bridge_taken(const Network& network,
                                                          std::span<const Resource> wanted) const {
        const Result<NetworkSeen> seen = parse_network_xml(network.definition);
        for (const Resource& resource : wanted) {
            const std::string* bridge = model::get<std::string>(resource.attributes, "bridge");
            if (resource.id != id_ || bridge == nullptr || !seen || seen->bridge != *bridge) continue;
            return model::Foreign{
                fmt::format("the libvirt network {} already has the bridge {}", network.name, *bridge),
                "choose another network.bridge"};
        }
        return std::nullopt;
    }

    /// Leaves the definition as wanted, and what runs either like it or stopped; `network.active` says which.
    Result<void> settle_definition(Network& network, const Attributes& wanted) {
        if (!network.persistent && !network.active) return api_->define_network(network_xml(identity_, wanted));
        const Result<NetworkSeen> definition = parse_network_xml(network.definition);
        if (!definition) return base::fail(definition.error());
        const Result<NetworkSeen> live = parse_network_xml(network.active ? network.live : network.definition);
        if (!live) return base::fail(live.error());
        const bool replace = structure_of(live->attributes) != structure_of(wanted) ||
                             structure_of(definition->attributes) != structure_of(wanted);
        if (replace && network.active) {
            if (Result<void> idle = require_idle(); !idle) return idle;
            if (Result<void> stopped = api_->stop_network(identity_.name); !stopped) return stopped;
            network.active = false;
        }
        if (replace || !network.persistent || reservations_of(definition->attributes) != reservations_of(wanted))
            if (Result<void> defined = api_->define_network(network_xml(identity_, wanted)); !defined) return defined;
        if (!network.active) return {};
        return edit_live(reservations_of(live->attributes), reservations_of(wanted));
    }

    /// Takes away before it adds: libvirt refuses an entry that shares a name, mac or address with another.
    Result<void> edit_live(const Branch& there, const Branch& wanted) {
        for (const auto& [edit, side, other] :
             {std::tuple(Edit::remove, &there, &wanted), {Edit::add, &wanted, &there}})
            for (const model::Entry& entry : side->entries()) {
                const model::Value* same = other->find(entry.key);
                if (same != nullptr && *same == entry.value) continue;
                if (Result<void> edited = api_->edit_reservation(identity_.name, edit, reservation_xml(entry)); !edited)
                    return edited;
            }
        return {};
    }

    /// Guests that run or sleep on it, ours or not.
    Result<std::vector<Domain>> guests() {
        Result<std::vector<Domain>> domains = api_->domains(View::live, Which::active);
        if (!domains) return domains;
        std::erase_if(*domains, [&](const Domain& domain) {
            const Result<DomainSeen> seen = parse_domain(domain.xml, View::live);
            return seen && std::ranges::find(seen->networks, identity_.name) == seen->networks.end();
        });
        return domains;
    }

    /// A sleeping guest cannot be taken down and brought back around a change, as one that runs can.
    void note_sleepers(model::Present& present) {
        const Result<std::vector<Domain>> domains = guests();
        if (!domains) return;  // a fact that is missing: apply looks again before it stops anything
        const auto sleeper = std::ranges::find_if(*domains, &Domain::paused);
        if (sleeper != domains->end()) present.facts.set("sleeper", sleeper->name);
    }

    /// A guest on a network that is taken down would stay without one, even after it is back.
    Result<void> require_idle() {
        const Result<std::vector<Domain>> domains = guests();
        if (!domains) return base::fail(domains.error());
        if (domains->empty()) return {};
        const Domain& domain = domains->front();
        return base::fail(
            {.attempt = "replace",
             .object = to_text(id_),
             .cause = fmt::format("the virtual machine {} {} on it", domain.name, domain.paused ? "is paused" : "runs"),
             .advice = fmt::format("shut it down first: virsh shutdown {}", domain.name),
             .kind = Error::Kind::refused});
    }

    const SharedApi api_;
    const Layout layout_;
    const ResourceId id_;
    const NetworkIdentity identity_;
};

}  // namespace

std::unique_ptr<driver::Driver> make_network_driver(SharedApi api, Layout layout) {
    return std::make_unique<NetworkDriver>(std::move(api), std::move(layout));
}

}  // namespace safe::libvirt
