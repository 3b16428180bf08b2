#include "plugins/nfs/export_driver.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "plugins/nfs/nfs_driver.hpp"
#include "reconciler/base/paths.hpp"
#include "specs/identity.hpp"

namespace safe::nfs {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::fail;
using base::Result;
using model::Absent;
using model::Branch;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Observation;
using model::Presence;
using model::Present;
using model::ResourceId;
using model::Unknown;

constexpr std::string_view only_cached = "in the kernel's table only";

/// Options of exports(5) that are ours to say, each with what etab writes for it. Root of a guest is nobody here: it
/// must not leave programs for other guests that run as root there (docs/decisions/0032). Nothing is exported that is
/// not mounted, or it would be a directory of the hypervisor's.
std::set<std::string> options_of(bool read_only, const std::string& fsid) {
    return {read_only ? "ro" : "rw",
            "sync",
            "root_squash",
            "no_all_squash",
            "no_subtree_check",
            "nocrossmnt",
            "secure",
            "mountpoint",
            "sec=sys",
            "fsid=" + fsid};
}

}  // namespace

std::string owned(const std::set<std::string>& listed) {
    static constexpr std::array<std::string_view, 15> words{"rw",
                                                            "ro",
                                                            "sync",
                                                            "async",
                                                            "root_squash",
                                                            "no_root_squash",
                                                            "all_squash",
                                                            "no_all_squash",
                                                            "subtree_check",
                                                            "no_subtree_check",
                                                            "crossmnt",
                                                            "nocrossmnt",
                                                            "secure",
                                                            "insecure",
                                                            "mountpoint"};
    std::set<std::string> ours;
    for (const std::string& option : listed)
        if (std::ranges::find(words, option) != words.end() || option.starts_with("sec=") ||
            option.starts_with("fsid=") || option.starts_with("mountpoint="))
            ours.insert(option);
    return fmt::format("{}", fmt::join(ours, ","));
}

std::string text_of(const Server& server, bool with_helpers) {
    std::string text = fmt::format("NFS {} on {}", fmt::join(server.versions, ", "), fmt::join(server.listeners, ", "));
    if (!server.faults.empty()) text += fmt::format(", but {}", fmt::join(server.faults, ", "));
    if (with_helpers && !server.missing.empty()) text += fmt::format(", without {}", fmt::join(server.missing, ", "));
    return text;
}

ExportDriver::ExportDriver(const driver::Setting& setting, std::shared_ptr<Api> api)
    : places_(setting.places),
      address_(setting.spec.network ? to_text(setting.spec.network->address->address) : std::string()),
      api_(std::move(api)),
      served_address_(places_.run_dir() / "nfs") {
    for (const specs::VmSpec& vm : setting.spec.vms)
        if (vm.address) vm_names_[to_text(**vm.address)] = vm.name;
}

std::span<const Kind> ExportDriver::kinds() const {
    static constexpr std::array mine{Kind::exported};
    return mine;
}

// --- what is wanted

std::vector<ResourceId> ExportDriver::needs_of(const std::string& volume) const {
    return {make_id(Kind::mount, volume), make_id(Kind::network, places_.safe())};
}

std::string ExportDriver::server_wanted() const { return fmt::format("NFS 4.2 on {}:2049", address_); }

bool ExportDriver::is_as_wanted(const Server& server) const { return text_of(server, false) == server_wanted(); }

model::Attributes ExportDriver::wanted(const specs::SafeSpec& spec, const specs::VolumeSpec& volume) const {
    const std::string fsid = specs::uuid_of(*spec.safe, "volume/" + volume.name);
    const std::string options = owned(options_of(*volume.access == specs::Access::read_only, fsid));
    Branch clients;
    for (const specs::VmSpec& vm : spec.vms)
        for (const specs::VmMount& mount : vm.mounts)
            if (*mount.volume == volume.name && vm.address) clients.set(to_text(**vm.address), options);
    model::Attributes attributes;
    if (clients.empty()) return attributes;
    attributes.set(clients_key, std::move(clients));
    attributes.set(server_key, server_wanted());
    return attributes;
}

driver::Desire ExportDriver::desire(const specs::SafeSpec& spec, Mode mode) const {
    driver::Desire desire;
    for (const specs::VolumeSpec& volume : spec.volumes) {
        // The others are declared too: an export that somebody made of the vault is one too many in every mode.
        model::Resource resource{.id = make_id(Kind::exported, volume.name), .needs = needs_of(volume.name)};
        model::Attributes attributes =
            *volume.role == specs::VolumeRole::data ? wanted(spec, volume) : model::Attributes{};
        if (!attributes.empty() && address_.empty()) {
            desire.refusals.push_back(
                {to_text(resource.id),
                 {"export", volume.name, "this safe has no network", "declare a network", Error::Kind::refused}});
        } else if (!attributes.empty() && mode == Mode::open) {
            resource.presence = Presence::present;
            for (const model::Entry& client : attributes.find(clients_key)->branch()->entries())
                resource.labels[client.key] = named(client.key);
            resource.attributes = std::move(attributes);
        }
        desire.resources.push_back(std::move(resource));
    }
    return desire;
}

Presence ExportDriver::orphan(const ResourceId& /*id*/, const Present& /*observed*/, Mode mode) const {
    return mode == Mode::open ? Presence::present : Presence::absent;
}

// --- what is there

Result<ExportDriver::Look> ExportDriver::look() {
    auto server = api_->server();
    if (!server) return fail(server.error());
    // Without a server the tables are dead letters, left by a power cut: nobody is served by them.
    if (server->threads == 0) return Look{.tables = {}, .server = *std::move(server)};
    auto tables = api_->tables();
    if (!tables) return fail(tables.error());
    auto served_at = served_address_.read();
    if (!served_at) return fail(served_at.error());
    return Look{*std::move(tables), *std::move(server), *std::move(served_at)};
}

model::Snapshot ExportDriver::observe(const driver::Scope& scope, const driver::Context& /*context*/) {
    model::Snapshot snapshot;
    const auto seen = look();
    if (!seen) {
        for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, Unknown{seen.error()});
        snapshot.enumeration_failed = seen.error();
        return snapshot;
    }
    for (const ResourceId& id : scope.ids) snapshot.observations.emplace(id, observation(id.name(), *seen));
    if (!scope.enumerate) return snapshot;
    for (const auto* table : {&seen->tables.granted, &seen->tables.cached})
        for (const Export& one : *table) {
            const fs::path inside = one.path.lexically_relative(places_.mount_root());
            if (!base::lies_in(one.path, places_.mount_root()) || inside == ".") continue;
            const ResourceId id = make_id(Kind::exported, inside.begin()->string());
            if (!snapshot.observations.contains(id)) snapshot.observations.emplace(id, observation(id.name(), *seen));
        }
    warn_of_ways_in(seen->tables, snapshot);
    warn_of_buffers(*seen, snapshot);
    return snapshot;
}

bool ExportDriver::is_ours(const Look& seen) const {
    if (is_as_wanted(seen.server)) return true;
    return !seen.served_at.empty() && seen.server.versions == std::set<std::string>{"4.2"} &&
           seen.server.listeners.contains(seen.served_at + ":2049");
}

bool ExportDriver::is_idle(const Look& seen) const {
    return seen.server.threads > 0 && seen.tables.granted.empty() && is_ours(seen);
}

/// A server that others need is not stopped.
void ExportDriver::warn_of_buffers(const Look& seen, model::Snapshot& snapshot) const {
    const std::vector<Export>& granted = seen.tables.granted;
    const auto ours = [&](const Export& one) { return base::lies_in(one.path, places_.mount_root()); };
    if (granted.empty() || std::ranges::any_of(granted, ours) || !is_ours(seen)) return;
    snapshot.warnings.push_back(
        fmt::format("the NFS server goes on running for {}, which is not the safe's: what VMs wrote last may stay in "
                    "its threads' memory; withdraw that export, so that closing the safe stops the server",
                    granted.front().path.string()));
}

/// The export of a directory above ours that crosses into what is mounted below it. It is not ours to take away.
void ExportDriver::warn_of_ways_in(const Tables& tables, model::Snapshot& snapshot) const {
    for (const Export& one : tables.granted)
        if (base::lies_in(places_.mount_root(), one.path) && one.options.contains("crossmnt"))
            snapshot.warnings.push_back(
                fmt::format("{} is exported to {} with crossmnt, which reaches into the safe's volumes: withdraw it",
                            one.path.string(), one.client));
}

std::vector<Export> ExportDriver::of_volume(const std::string& volume, const std::vector<Export>& all) const {
    std::vector<Export> found;
    std::ranges::copy_if(all, std::back_inserter(found),
                         [&](const Export& one) { return base::lies_in(one.path, places_.mount_point(volume)); });
    return found;
}

/// The client; with the path of something inside the volume when it is not exported as a whole.
std::string ExportDriver::key_of(const std::string& volume, const Export& one) const {
    const fs::path top = places_.mount_point(volume);
    return one.path == top ? one.client : fmt::format("{} ({})", one.client, one.path.lexically_relative(top).string());
}

Observation ExportDriver::observation(const std::string& volume, const Look& seen) {
    Branch clients;
    for (const Export& one : of_volume(volume, seen.tables.cached)) clients.set(key_of(volume, one), only_cached);
    for (const Export& one : of_volume(volume, seen.tables.granted))
        clients.set(key_of(volume, one), owned(one.options));
    Present present{.attributes = {}, .needs = needs_of(volume)};
    if (!clients.empty()) {
        present.attributes.set(clients_key, std::move(clients));
        present.attributes.set(server_key, text_of(seen.server, true));
        return present;
    }
    if (seen.server.threads == 0) return Absent{};
    const auto mounted = api_->mounted(places_.mount_point(volume));
    if (!mounted) return Unknown{mounted.error()};
    if (const std::optional<dev_t> device = *mounted) {
        const auto holders = api_->holders(*device);
        if (!holders) return Unknown{holders.error()};
        Branch held;
        for (const Holder& holder : *holders) held.set(holder.address, named(holder.address));
        if (!held.empty()) {
            present.attributes.set(held_key, std::move(held));
            return present;
        }
    }
    if (is_idle(seen)) {
        present.attributes.set(server_key, text_of(seen.server, true));
        return present;
    }
    if (address_.empty() || is_ours(seen)) return Absent{};
    return model::Foreign{
        fmt::format("an NFS server runs here that is not the safe's: {}", text_of(seen.server, false)),
        fmt::format("stop it (`systemctl disable --now nfs-server`, or, when systemd did not start it, `rpc.nfsd 0`), "
                    "or give it in the section [nfsd] of /etc/nfs.conf: host={}, vers3=n, vers4.0=n, vers4.1=n; and in "
                    "[mountd]: manage-gids=n",
                    address_)};
}

// --- what it costs

std::string ExportDriver::named(const std::string& client) const {
    const auto name = vm_names_.find(client);
    return name == vm_names_.end() ? client : name->second;
}

std::string ExportDriver::named_clients(const model::Attributes& attributes) const {
    std::vector<std::string> names;
    for (const std::string_view key : {clients_key, held_key})
        if (const model::Value* clients = attributes.find(key); clients != nullptr && clients->branch() != nullptr)
            for (const model::Entry& client : clients->branch()->entries()) names.push_back(named(client.key));
    std::ranges::sort(names);
    return fmt::format("{}", fmt::join(names, ", "));
}

model::Assessment ExportDriver::classify(model::Action action, const model::Resource& resource,
                                         const Observation& observed,
                                         std::span<const model::Change> /*changes*/) const {
    switch (action) {
        case model::Action::add:
            return {"export", "to " + named_clients(resource.attributes)};
        case model::Action::change:
            return {"export", "to " + named_clients(resource.attributes), model::Disruption::live};
        case model::Action::remove: {
            const auto* present = std::get_if<Present>(&observed);
            if (present == nullptr) return {"withdraw", "from ?"};
            const std::string clients = named_clients(present->attributes);
            if (clients.empty()) return {"withdraw", "the NFS server itself, whose threads keep what was last written"};
            return {"withdraw", "from " + clients};
        }
    }
    return {};
}

// --- what others call

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    return make_drivers(setting, make_system_api());
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting, std::shared_ptr<Api> api) {
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(std::make_unique<ExportDriver>(setting, std::move(api)));
    return drivers;
}

}  // namespace safe::nfs
