#include "plugins/iscsi/inventory.hpp"

#include <algorithm>
#include <set>

namespace safe::iscsi {
namespace {

struct Place {
    const Session* session = nullptr;
    const Unit* unit = nullptr;
};

Place at(const World& world, const Address& address) {
    const Session* session = world.ours(address.endpoint);
    const Unit* unit = session == nullptr ? nullptr : session->unit(address.lun);
    if (unit == nullptr || unit->device.empty()) return {};
    return {session, unit};
}

Place behind(const World& world, const std::filesystem::path& link) {
    for (const Session& session : world.sessions) {
        if (session.interface != world.mark) continue;
        for (const Unit& unit : session.units)
            if (!unit.device.empty() && world.devices / unit.device == link) return {&session, &unit};
    }
    return {};
}

/// Device names are given again: a link that was left behind may point to what is another volume's by now.
bool is_another_volumes(const World& world, const std::string& name, const Address& address) {
    return std::ranges::any_of(
        world.volumes, [&](const auto& entry) { return entry.first != name && entry.second.recorded == address; });
}

Place unit_of(const World& world, const std::string& name, const Claim& claim) {
    if (claim.link)
        if (const Place place = behind(world, *claim.link);
            place.unit != nullptr && !is_another_volumes(world, name, {place.session->endpoint, place.unit->lun}))
            return place;
    for (const auto& address : {claim.recorded, claim.wanted})
        if (address && (address == claim.recorded || !is_another_volumes(world, name, *address)))
            if (const Place place = at(world, *address); place.unit != nullptr) return place;
    return {};
}

bool lies_at(const Claim& claim, const Endpoint& endpoint) {
    return (claim.wanted && claim.wanted->endpoint == endpoint) ||
           (claim.recorded && claim.recorded->endpoint == endpoint);
}

std::set<Endpoint> remnants(const World& world) {
    std::set<Endpoint> found;
    for (const SeenRecord& record : world.records)
        if (world.ours(record.endpoint) == nullptr) found.insert(record.endpoint);
    for (const Session& session : world.sessions)
        if (session.interface == world.mark && !serves_others(world, session, "")) found.insert(session.endpoint);
    return found;
}

}  // namespace

const Session* World::ours(const Endpoint& endpoint) const {
    const auto found = std::ranges::find_if(
        sessions, [&](const Session& session) { return session.endpoint == endpoint && session.interface == mark; });
    return found == sessions.end() ? nullptr : &*found;
}

const Session* World::theirs(const Endpoint& endpoint) const {
    const auto found = std::ranges::find_if(
        sessions, [&](const Session& session) { return session.endpoint == endpoint && session.interface != mark; });
    return found == sessions.end() ? nullptr : &*found;
}

bool World::has_record(const Endpoint& endpoint) const {
    return std::ranges::find(records, endpoint, &SeenRecord::endpoint) != records.end();
}

Placement locate(const World& world, const std::string& name) {
    Placement placement;
    const auto known = world.volumes.find(name);
    if (known != world.volumes.end()) {
        const Claim& claim = known->second;
        placement.link_exists = claim.link.has_value();
        if (const Place place = unit_of(world, name, claim); place.unit != nullptr) {
            placement.address = Address{place.session->endpoint, place.unit->lun};
            placement.session = place.session;
            placement.unit = place.unit;
            placement.linked = claim.link == world.devices / place.unit->device;
            return placement;
        }
    }
    for (const Endpoint& endpoint : remnants(world)) {
        if (owner_of_remnant(world, endpoint) != name) continue;
        std::uint32_t lun = 0;
        if (known != world.volumes.end())
            for (const auto& address : {known->second.wanted, known->second.recorded})
                if (address && address->endpoint == endpoint) lun = address->lun;
        placement.address = Address{endpoint, lun};
        placement.session = world.ours(endpoint);
        return placement;
    }
    // A link that leads nowhere is still a thing of ours, to be taken away before its name is given to another disk.
    if (placement.link_exists)
        placement.address = known->second.recorded ? known->second.recorded : known->second.wanted.value_or(Address{});
    return placement;
}

std::optional<std::string> owner_of_remnant(const World& world, const Endpoint& endpoint) {
    if (!remnants(world).contains(endpoint)) return std::nullopt;
    for (const SeenRecord& record : world.records)
        if (record.endpoint == endpoint && world.volumes.contains(record.volume)) return record.volume;
    for (const auto& [name, claim] : world.volumes)
        if (lies_at(claim, endpoint)) return name;
    return endpoint.target;
}

std::vector<std::string> names(const World& world) {
    std::set<std::string> found;
    for (const auto& [name, claim] : world.volumes)
        if (locate(world, name).address) found.insert(name);
    for (const Endpoint& endpoint : remnants(world))
        if (auto owner = owner_of_remnant(world, endpoint)) found.insert(*std::move(owner));
    return {found.begin(), found.end()};
}

bool serves_others(const World& world, const Session& session, const std::string& except) {
    return std::ranges::any_of(world.volumes, [&](const auto& entry) {
        return entry.first != except && unit_of(world, entry.first, entry.second).session == &session;
    });
}

}  // namespace safe::iscsi
