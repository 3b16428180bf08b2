#include "plugins/nftables/nftables_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "plugins/nftables/compile.hpp"
#include "plugins/nftables/connections.hpp"
#include "plugins/nftables/kernel_features.hpp"
#include "plugins/nftables/transaction.hpp"

namespace safe::nftables {
namespace {

using model::Absent;
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

std::string counted(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

class NftablesDriver final : public driver::Driver {
 public:
    NftablesDriver(const Options& options, std::unique_ptr<Api> api, std::unique_ptr<Connections> connections)
        : table_("safe-" + options.safe),
          networks_(options.networks),
          api_(std::move(api)),
          connections_(std::move(connections)) {}

    [[nodiscard]] std::span<const Kind> kinds() const override {
        static constexpr std::array mine{Kind::ruleset};
        return mine;
    }

    [[nodiscard]] driver::Desire desire(const specs::SafeSpec& spec, Mode mode) const override {
        if (!spec.network) return without_network(spec);
        Firewall firewall = compile(spec, *spec.network);
        driver::Desire desire{{}, std::move(firewall.refusals)};
        desire.resources.push_back({id_of(base_chain), Presence::present, attributes_of(base_chain, firewall.base)});
        desire.resources.back().notes = std::move(firewall.notes);
        std::vector<ResourceId> below_storage{id_of(base_chain)};
        for (const specs::VolumeSpec& volume : spec.volumes)
            if (is_mounted(spec, volume.name)) below_storage.push_back(make_id(Kind::exported, volume.name));
        const bool serves = below_storage.size() > 1;
        desire.resources.push_back(of_mode(firewall.storage, serves && mode == Mode::open, std::move(below_storage)));
        // Let in last and cut off first; but a guest that does not wake keeps nobody out who works in another, and no
        // rule that was taken back in force.
        std::vector<ResourceId> below_open{id_of(base_chain)};
        if (const specs::VolumeSpec* vault = spec.vault()) below_open.push_back(make_id(Kind::mount, vault->name));
        Resource open = of_mode(firewall.open, mode == Mode::open, std::move(below_open));
        for (const specs::VmSpec& vm : spec.vms)
            if (*vm.role == specs::Role::workspace) open.after.push_back(make_id(Kind::power, vm.name));
        desire.resources.push_back(std::move(open));
        desire.resources.push_back(of_mode(firewall.locked, mode == Mode::locked, {id_of(base_chain)}));
        for (Resource& resource : desire.resources) resource.labels = firewall.labels;
        return desire;
    }

    [[nodiscard]] model::Snapshot observe(const driver::Scope& scope, const driver::Context& /*context*/) override {
        model::Snapshot snapshot;
        const auto look = look_at_table();
        if (!look) {
            for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, Unknown{look.error()});
            snapshot.enumeration_failed = look.error();
            return snapshot;
        }
        const Table* table = look->get();
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, observation(id, table));
        if (scope.enumerate && table != nullptr && table->ours()) add_all_of_ours(*table, snapshot);
        if (!scope.ids.empty() && !kernel_is_able_) ask_for_features(snapshot);
        return snapshot;
    }

    [[nodiscard]] model::Assessment classify(model::Action action, const Resource& resource,
                                             const Observation& observed,
                                             std::span<const model::Change> changes) const override {
        const bool is_base = resource.id.name() == base_chain;
        if (resource.id.name() == storage_chain && action != model::Action::change)
            return of_storage(action, resource, observed);
        switch (action) {
            case model::Action::add:
                return {.verb = is_base ? "install" : "allow",
                        .summary = counted(count_rules(resource.attributes), "rule"),
                        .closes = resource.id.name() == locked_chain};
            case model::Action::change:
                return {"adjust", counted(changes.size(), "difference"), model::Disruption::live};
            case model::Action::remove: {
                const auto* present = std::get_if<Present>(&observed);
                return {is_base ? "uninstall" : "cut", counted(present ? count_rules(present->attributes) : 0, "rule")};
            }
        }
        return {};
    }

    [[nodiscard]] Presence orphan(const ResourceId& /*id*/, const Present& /*observed*/, Mode /*mode*/) const override {
        return Presence::absent;
    }

    [[nodiscard]] base::Result<void> apply(const model::Step& step, const Resource& resource,
                                           const Observation& /*observed*/,
                                           const driver::Context& /*context*/) override {
        const auto done = make(resource.id.name(), step.action == model::Action::remove, resource.attributes);
        if (done) return {};
        base::Error error = done.error();
        error.cause = fmt::format("cannot {} {}: {}", error.attempt, error.object, error.cause);
        error.attempt = step.verb;
        error.object = to_text(resource.id);
        return base::fail(std::move(error));
    }

 private:
    static bool is_mounted(const specs::SafeSpec& spec, const std::string& volume) {
        return std::ranges::any_of(spec.vms, [&](const specs::VmSpec& vm) {
            return std::ranges::any_of(vm.mounts, [&](const specs::VmMount& mount) { return *mount.volume == volume; });
        });
    }

    /// "NFS: desktop, forge → hypervisor", from the names of the rules.
    static model::Assessment of_storage(model::Action action, const Resource& resource, const Observation& observed) {
        constexpr std::string_view prefix = "implied/nfs/";
        const bool add = action == model::Action::add;
        const auto* present = std::get_if<Present>(&observed);
        const model::Attributes& from = add || present == nullptr ? resource.attributes : present->attributes;
        const model::Value* rules = from.find("rules");
        std::string names;
        if (rules != nullptr && rules->branch() != nullptr)
            for (const model::Entry& rule : rules->branch()->entries())
                if (rule.key.starts_with(prefix)) names += (names.empty() ? "" : ", ") + rule.key.substr(prefix.size());
        return {add ? "allow" : "cut", fmt::format("NFS: {} → hypervisor", names.empty() ? "nobody" : names)};
    }

    static ResourceId id_of(std::string_view chain) { return make_id(Kind::ruleset, chain); }

    static Resource of_mode(const Chain& chain, bool wanted, std::vector<ResourceId> needs) {
        Resource resource{id_of(chain.name)};
        resource.needs = std::move(needs);
        if (!wanted) return resource;
        resource.presence = Presence::present;
        resource.attributes = attributes_of(chain.name, {chain});
        return resource;
    }

    static driver::Desire without_network(const specs::SafeSpec& spec) {
        driver::Desire desire;
        for (const specs::RuleSpec& rule : spec.firewall) {
            const std::string subject = fmt::format("firewall.{} ({})", rule.name, to_text(rule.at));
            desire.refusals.push_back(
                {subject,
                 {"allow", subject, "this safe has no network", "declare a network", base::Error::Kind::refused}});
        }
        return desire;
    }

    /// nullptr: there is none.
    base::Result<std::unique_ptr<const Table>> look_at_table() {
        auto listed = api_->list(table_);
        if (!listed) return base::fail(std::move(listed.error()));
        const std::optional<Json>& objects = *listed;
        if (!objects) return nullptr;
        auto table = parse_table(*objects);
        if (!table) return base::fail(std::move(table.error()));
        return std::make_unique<const Table>(*std::move(table));
    }

    [[nodiscard]] Observation observation(const ResourceId& id, const Table* table) const {
        if (table == nullptr) return Absent{};
        if (!table->ours())
            return Foreign{fmt::format("the table bridge {} has no chain {}", table_, mark_chain),
                           fmt::format("if nobody needs it, `nft delete table bridge {}`", table_)};
        if (id.name() == base_chain) return Present{attributes_of(base_chain, *table)};
        const ListedChain* chain = table->chain(id.name());
        if (chain == nullptr || chain->rules.empty()) return Absent{};
        return Present{attributes_of(id.name(), *table), {id_of(base_chain)}};
    }

    void add_all_of_ours(const Table& table, model::Snapshot& snapshot) const {
        const auto add = [&](std::string_view name) {
            Observation seen = observation(id_of(name), &table);
            if (std::holds_alternative<Present>(seen)) snapshot.observations.emplace(id_of(name), std::move(seen));
        };
        add(base_chain);
        for (const std::string_view name : mode_chains) add(name);
    }

    void ask_for_features(model::Snapshot& snapshot) {
        auto missing = missing_features(*api_);
        if (missing) {
            kernel_is_able_ = missing->empty();
            snapshot.refusals = *std::move(missing);
            return;
        }
        for (auto& [id, seen] : snapshot.observations) seen = Unknown{missing.error()};
        snapshot.enumeration_failed = missing.error();
    }

    base::Result<void> make(const std::string& name, bool remove, const model::Attributes& attributes) {
        // What was seen before the step has no handles: they are taken from the table as it is now.
        const auto look = look_at_table();
        if (!look) return base::fail(look.error());
        const Table* table = look->get();
        const bool is_base = name == base_chain;
        if (table != nullptr && !table->ours())
            return base::fail(
                {"change", "the table bridge " + table_, "it is not ours", "plan again", base::Error::Kind::refused});
        if (remove) {
            if (table == nullptr) return {};
            return transact(is_base ? delete_table(table_) : emptied(*table, name),
                            is_base ? turn_of(table, {}, true) : turn_of(table, {Chain{name}}, false));
        }
        if (table == nullptr && !is_base)
            return base::fail({"fill", "the chain " + name, "the table bridge " + table_ + " is gone", "apply again"});
        auto wanted = chains_of(name, attributes);
        if (!wanted) return base::fail(std::move(wanted.error()));
        auto commands = changes(table_, table, *wanted, is_base ? Extent::whole_table : Extent::wanted_chains);
        if (!commands) return base::fail(std::move(commands.error()));
        return transact(*commands, turn_of(table, *wanted, is_base));
    }

    [[nodiscard]] Json emptied(const Table& table, const std::string& chain) const {
        return table.chain(chain) != nullptr ? empty_chain(table_, chain) : Json::array();
    }

    /// Connections of an earlier time are forgotten before the rules that would allow them, and those that lose their
    /// permission after the rules are gone: killed in between, they are forgotten when the rules come back.
    base::Result<void> transact(const Json& commands, const Turn& turn) {
        if (commands.empty()) return {};
        if (auto possible = api_->run(commands, Api::Run::check); !possible) return possible;
        if (auto forgotten = forget(turn.before); !forgotten) return forgotten;
        if (auto done = api_->run(commands, Api::Run::commit); !done) return done;
        return forget(turn.after);
    }

    base::Result<void> forget(const std::vector<Flow>& flows) {
        if (flows.empty() || networks_.empty()) return {};
        const auto ours = [&](specs::Ipv4 address) {
            return std::ranges::any_of(networks_, [&](const specs::Cidr& one) { return one.contains(address); });
        };
        auto forgotten = connections_->forget([&](const Connection& connection) {
            return (ours(connection.source) || ours(connection.destination)) &&
                   std::ranges::any_of(flows, [&](const Flow& flow) { return matches(flow, connection); });
        });
        if (!forgotten) return base::fail(std::move(forgotten.error()));
        return {};
    }

    std::string table_;
    std::vector<specs::Cidr> networks_;
    std::unique_ptr<Api> api_;
    std::unique_ptr<Connections> connections_;
    std::atomic<bool> kernel_is_able_ = false;  // what it once could, it can: our rules hold the modules
};

}  // namespace

std::unique_ptr<driver::Driver> make_driver(const Options& options) {
    return make_driver(options, make_kernel_api(), make_kernel_connections());
}

std::unique_ptr<driver::Driver> make_driver(const Options& options, std::unique_ptr<Api> api,
                                            std::unique_ptr<Connections> connections) {
    return std::make_unique<NftablesDriver>(options, std::move(api), std::move(connections));
}

std::vector<specs::Cidr> networks_of(const specs::SafeSpec& spec) {
    std::vector<specs::Cidr> networks;
    if (!spec.network) return networks;
    const specs::NetworkSpec& net = *spec.network;
    networks.push_back({net.address->network(), net.address->prefix});
    if (net.users) networks.push_back(**net.users);
    if (net.super_users) networks.push_back(**net.super_users);
    return networks;
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(make_driver({.safe = setting.places.safe(), .networks = networks_of(setting.spec)}));
    return drivers;
}

}  // namespace safe::nftables
