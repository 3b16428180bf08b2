// The explicit list of plugins, each of which can be left out of a build. Included by the mains of cli and daemon only.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

#ifdef SAFE_WITH_LIBVIRT
#include "plugins/libvirt/libvirt_driver.hpp"
#endif
#ifdef SAFE_WITH_NFTABLES
#include "plugins/nftables/nftables_driver.hpp"
#endif

namespace safe::plugins {

using Drivers = std::vector<std::unique_ptr<driver::Driver>>;

[[nodiscard]] inline Drivers make_drivers(const driver::Setting& setting) {
    Drivers drivers;
    [[maybe_unused]] const auto add = [&drivers](Drivers more) {
        std::ranges::move(more, std::back_inserter(drivers));
    };
#ifdef SAFE_WITH_LIBVIRT
    add(libvirt::make_drivers(
        {.uri = *setting.spec.hypervisor, .safe = setting.places.safe(), .state_dir = setting.places.state_dir()}));
#endif
#ifdef SAFE_WITH_NFTABLES
    drivers.push_back(nftables::make_driver({.safe = setting.places.safe()}));
#endif
    static_cast<void>(setting);
    return drivers;
}

/// Declared parts whose plugin is not in this build: nothing declared is ever ignored.
[[nodiscard]] inline std::vector<model::Refusal> missing_plugins(const specs::SafeSpec& spec) {
    std::vector<model::Refusal> missing;
    [[maybe_unused]] const auto refuse = [&](const std::string& part, const specs::Position& at,
                                             const std::string& plugin) {
        missing.push_back({part + " (" + to_text(at) + ")",
                           {"handle", part, "this build of safectl is without the plugin " + plugin,
                            "use a build that has it", base::Error::Kind::refused}});
    };
#ifndef SAFE_WITH_LIBVIRT
    if (spec.network) refuse("network", spec.network->at, "libvirt");
    if (!spec.vms.empty()) refuse("vms", spec.vms.front().at, "libvirt");
#endif
#ifndef SAFE_WITH_NFTABLES
    if (spec.network) refuse("the network's firewall", spec.network->at, "nftables");
#endif
    static_cast<void>(spec);
    return missing;
}

}  // namespace safe::plugins
