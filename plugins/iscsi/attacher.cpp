#include "plugins/iscsi/attacher.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "plugins/iscsi/iscsi_driver.hpp"

namespace safe::iscsi {

namespace fs = std::filesystem;
using base::Error;

namespace {

std::unexpected<Error> busy(const std::string& name, const Unit& unit, bool stray) {
    const std::string what =
        stray ? fmt::format(", LUN {} of the same session, which is no volume of this safe", unit.lun) : std::string();
    return base::fail({"detach", "the volume " + name,
                       fmt::format("/dev/{}{} is in use: {}", unit.device, what, fmt::join(unit.users, ", ")),
                       "close what uses it, and apply again"});
}

/// What the kernel attached must be what was asked from user space just before.
base::Result<void> check_same(const Order& order, const Identity& asked, const Unit& unit) {
    const auto differs = [&](std::string_view what, const std::string& kernel, const std::string& seen) {
        return base::fail({"attach", to_text(order.address),
                           fmt::format("its {} was {} when asked and is {} in the kernel", what, seen, kernel),
                           "ask the storage's provider what changed, and apply again", Error::Kind::refused});
    };
    if (!unit.serial.empty() && unit.serial != asked.serial) return differs("serial number", unit.serial, asked.serial);
    if (!unit.designator.empty() && unit.designator != asked.designator)
        return differs("identifier", unit.designator, asked.designator);
    if (unit.capacity != asked.capacity)
        return differs("capacity", fmt::format("{} bytes", unit.capacity), fmt::format("{} bytes", asked.capacity));
    return {};
}

}  // namespace

Address address_of(const specs::IscsiSpec& spec) { return {{to_text(*spec.portal), *spec.target}, *spec.lun}; }

std::string to_text(const Address& address) {
    return fmt::format("{}, LUN {} at {}", address.endpoint.target, address.lun, address.endpoint.portal);
}

const Unit* Session::unit(std::uint32_t lun) const {
    const auto found = std::ranges::find(units, lun, &Unit::lun);
    return found == units.end() ? nullptr : &*found;
}

Attacher::Attacher(const specs::SafeSpec& spec, const driver::Places& places, fs::path devices, Prober& prober,
                   Host& host)
    : spec_(spec),
      places_(places),
      devices_(std::move(devices)),
      mark_(mark_of(places)),
      identities_(places.state_dir()),
      prober_(prober),
      host_(host) {}

base::Result<World> Attacher::look() const {
    World world{.mark = mark_, .devices = devices_, .sessions = {}, .records = {}, .volumes = {}};
    auto sessions = host_.sessions();
    if (!sessions) return base::fail(std::move(sessions.error()));
    world.sessions = *std::move(sessions);
    auto records = host_.records();
    if (!records) return base::fail(std::move(records.error()));
    world.records = *std::move(records);
    const auto identities = identities_.all();
    if (!identities) return base::fail(identities.error());
    for (const auto& [volume, pinned] : *identities) world.volumes[volume].recorded = pinned.address;
    for (const specs::VolumeSpec& volume : spec_.volumes)
        if (volume.iscsi) world.volumes[volume.name].wanted = address_of(*volume.iscsi);
    if (auto linked = read_links(world); !linked) return base::fail(std::move(linked.error()));
    return world;
}

base::Result<Found> Attacher::ask(const Order& order, const driver::Context& context) const {
    const auto loaded = identities_.load(order.volume);
    if (!loaded) return base::fail(loaded.error());
    const std::optional<Pinned>& pinned = *loaded;
    const auto initiator = host_.initiator_name();
    if (!initiator) return base::fail(initiator.error());
    context.say("asking " + order.address.endpoint.portal + " for LUN " + std::to_string(order.address.lun));
    auto found = prober_.probe({.address = order.address,
                                .initiator = *initiator,
                                .chap = order.chap ? &*order.chap : nullptr,
                                .limit = std::chrono::seconds(std::clamp(order.timeouts.replacement / 3, 5U, 30U)),
                                .stop = context.stop});
    if (!found) return found;
    if (pinned)
        if (auto same = compare(order.volume, pinned->identity, found->identity, identities_.path(order.volume)); !same)
            return base::fail(std::move(same.error()));
    if (order.writable && found->write_protected)
        return base::fail({"attach", to_text(order.address), "the storage lets nobody write to it",
                           "let it be writable, or declare `access: read-only`", Error::Kind::refused});
    const Pinned now{order.address, merged(pinned, found->identity)};
    if (pinned != now)
        if (auto saved = identities_.save(order.volume, now); !saved) return base::fail(std::move(saved.error()));
    return found;
}

base::Result<void> Attacher::attach(const Order& order, const Found& found, const driver::Context& context) const {
    auto up = bring_up(order, found, context);
    if (up) return up;
    if (auto undone = detach(order.volume, context); !undone)
        context.say("what was half attached stays for the next run: " + to_text(undone.error()));
    return up;
}

base::Result<void> Attacher::bring_up(const Order& order, const Found& found, const driver::Context& context) const {
    auto world = look();
    if (!world) return base::fail(std::move(world.error()));
    const Placement before = locate(*world, order.volume);
    if (before.session != nullptr && before.address != order.address) {
        if (auto gone = detach(order.volume, context); !gone) return gone;
        world = look();
        if (!world) return base::fail(std::move(world.error()));
    }
    const Endpoint& endpoint = order.address.endpoint;
    if (const Session* other = world->theirs(endpoint); other != nullptr && world->ours(endpoint) == nullptr)
        return base::fail({"attach", to_text(order.address),
                           fmt::format("somebody else is logged in there (iSCSI session {})", other->number),
                           fmt::format("if nobody needs it, `iscsiadm -m session -r {} -u`", other->number),
                           Error::Kind::refused});
    const Login login{endpoint, found.portal_group, order.volume, order.chap ? &*order.chap : nullptr, order.timeouts};
    if (auto in = host_.log_in(login); !in) return in;
    world = look();
    if (!world) return base::fail(std::move(world.error()));
    const Session* session = world->ours(endpoint);
    if (session == nullptr)
        return base::fail({"attach", to_text(order.address), "the session ended again", "apply again"});
    if (auto seen = host_.scan(session->number, order.address.lun); !seen) return seen;
    world = look();
    if (!world) return base::fail(std::move(world.error()));
    session = world->ours(endpoint);
    const Unit* unit = session == nullptr ? nullptr : session->unit(order.address.lun);
    if (unit == nullptr || unit->device.empty())
        return base::fail({"attach", to_text(order.address), "its device went away again", "apply again"});
    if (auto same = check_same(order, found.identity, *unit); !same) return same;
    return make_link(order.volume, unit->device);
}

base::Result<void> Attacher::detach(const std::string& name, const driver::Context& context) const {
    const auto world = look();
    if (!world) return base::fail(world.error());
    const Placement placement = locate(*world, name);
    const Session* session = placement.session;
    if (placement.unit != nullptr && !placement.unit->users.empty()) return busy(name, *placement.unit, false);
    const bool last = session != nullptr && !serves_others(*world, *session, name);
    if (last)
        for (const Unit& unit : session->units)
            if (!unit.users.empty()) return busy(name, unit, true);

    if (placement.link_exists)
        if (auto removed = remove_link(name); !removed) return removed;
    base::Result<void> outcome;
    if (session != nullptr)
        for (const Unit& unit : session->units)
            if (last || &unit == placement.unit) drop_writing_back(*session, unit, context, outcome);
    if (!outcome) return outcome;
    if (last)
        if (auto out = host_.log_out(session->number); !out) return out;
    if (!placement.address) return {};
    const Endpoint& endpoint = placement.address->endpoint;
    // A session that stays serves other volumes, and the node record with it.
    return last || world->ours(endpoint) == nullptr ? host_.forget(endpoint) : base::Result<void>();
}

void Attacher::drop_writing_back(const Session& session, const Unit& unit, const driver::Context& context,
                                 base::Result<void>& outcome) const {
    // Nothing that we know of lies on it any more, so a device that no longer answers keeps nobody from closing.
    if (auto flushed = host_.flush(session.number, unit.lun); !flushed) context.say(to_text(flushed.error()));
    if (auto dropped = host_.drop(session.number, unit.lun); !dropped && outcome) outcome = std::move(dropped);
}

// --- links

base::Result<void> Attacher::read_links(World& world) const {
    const fs::path directory = places_.run_dir() / "devices";
    std::error_code error;
    fs::directory_iterator at(directory, error);
    if (error == std::errc::no_such_file_or_directory) return {};
    for (; !error && at != fs::directory_iterator(); at.increment(error)) {
        const std::string name = at->path().filename().string();
        if (name.starts_with('.')) continue;  // one that was being made
        std::error_code no_link;
        const fs::path target = fs::read_symlink(at->path(), no_link);
        if (!no_link) world.volumes[name].link = target;
    }
    if (error) return base::fail({"list", directory.string(), error.message(), "run as root"});
    return {};
}

base::Result<void> Attacher::make_link(const std::string& volume, const std::string& device) const {
    const fs::path link = places_.device_link(volume);
    const fs::path fresh = link.parent_path() / ("." + volume + ".new");
    std::error_code error;
    fs::create_directories(link.parent_path(), error);
    if (!error) fs::remove(fresh, error);
    if (!error) fs::create_symlink(devices_ / device, fresh, error);
    if (!error) fs::rename(fresh, link, error);
    if (!error) return {};
    return base::fail({"make the link", link.string(), error.message(), "see whether /run is writable"});
}

base::Result<void> Attacher::remove_link(const std::string& volume) const {
    const fs::path link = places_.device_link(volume);
    if (::unlink(link.c_str()) == 0 || errno == ENOENT) return {};
    return base::fail({"remove the link", link.string(), base::errno_text(errno), "run as root"});
}

}  // namespace safe::iscsi
