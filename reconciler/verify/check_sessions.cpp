// Sessions: the kernel's iSCSI sessions to this safe's targets, by whatever portal.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "reconciler/verify/scene.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view folder = "/sys/class/iscsi_session";

/// Declared targets, and whether a volume on them is open in this mode.
struct Target {
    std::string name;
    std::string portal;
    bool wanted = false;
};

std::vector<Target> targets_of(const Scene& scene) {
    std::vector<Target> targets;
    for (const specs::VolumeSpec& volume : scene.spec.volumes) {
        if (!volume.iscsi) continue;
        const bool wanted = scene.open() || stays_open(scene.spec, volume);
        const std::string portal = to_text(*volume.iscsi->portal);
        const auto known = std::ranges::find_if(targets, [&](const Target& target) {
            return names_one_target(target.name, *volume.iscsi->target) && target.portal == portal;
        });
        if (known == targets.end())
            targets.push_back({*volume.iscsi->target, portal, wanted});
        else
            known->wanted = known->wanted || wanted;
    }
    return targets;
}

std::string describe(const IscsiSession& session) {
    return fmt::format("{} by {} ({})", session.target, fmt::join(session.portals, ", "), session.state);
}

std::string way_out(const IscsiSession& session) {
    return fmt::format("iscsiadm -m node -T {} --logout", session.target);
}

}  // namespace

std::vector<Finding> check_sessions(const Scene& scene) {
    Lines lines("iSCSI sessions");
    const std::string everywhere = fmt::format("{}/*/targetname", folder);
    if (!scene.sessions) {
        lines.unknown(everywhere, scene.sessions.error());
        return lines.take();
    }
    const std::vector<Target> targets = targets_of(scene);
    std::set<std::string> used;  // sessions that are as declared
    for (const Target& target : targets) {
        if (!target.wanted) continue;
        const auto session = std::ranges::find_if(*scene.sessions, [&](const IscsiSession& one) {
            return names_one_target(one.target, target.name) &&
                   std::ranges::find(one.portals, target.portal) != one.portals.end() && !used.contains(one.name);
        });
        if (session == scene.sessions->end()) {
            lines.fault(everywhere, fmt::format("no session to {} by {}", target.name, target.portal), "safectl apply");
            continue;
        }
        used.insert(session->name);
        const std::string where = fmt::format("{}/{}", folder, session->name);
        if (session->state == "LOGGED_IN")
            lines.ok(where, describe(*session));
        else
            lines.fault(where, describe(*session) + ": storage does not answer", "look at the network and the target");
    }
    for (const IscsiSession& session : *scene.sessions) {
        const bool ours =
            std::ranges::any_of(targets, [&](const Target& one) { return names_one_target(one.name, session.target); });
        if (!ours || used.contains(session.name)) continue;
        lines.fault(fmt::format("{}/{}/targetname", folder, session.name), "a session to " + describe(session),
                    way_out(session));
    }
    if (lines.clean() && (!scene.open() || targets.empty()))
        lines.ok(everywhere, fmt::format("{} sessions, {} of this safe's {} targets", scene.sessions->size(),
                                         used.empty() ? "none to any" : "only those that stay open", targets.size()));
    return lines.take();
}

}  // namespace safe::verify
