// The explicit list of plugins, each of which can be left out of a build. Included by the mains of cli and daemon only.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"
#include "reconciler/members/directory.hpp"
#include "reconciler/members/header_care.hpp"
#include "reconciler/members/vault_keys.hpp"

#ifdef SAFE_WITH_FILESYSTEM
#include "plugins/filesystem/filesystem_driver.hpp"
#endif
#ifdef SAFE_WITH_ISCSI
#include "plugins/iscsi/iscsi_driver.hpp"
#endif
#ifdef SAFE_WITH_LDAP
#include "plugins/ldap/ldap_driver.hpp"
#include "plugins/ldap/members_directory.hpp"
#endif
#ifdef SAFE_WITH_LIBVIRT
#include "plugins/libvirt/libvirt_driver.hpp"
#endif
#ifdef SAFE_WITH_LUKS
#include "plugins/luks/header_care.hpp"
#include "plugins/luks/luks_driver.hpp"
#include "plugins/luks/vault_keys.hpp"
#endif
#ifdef SAFE_WITH_NFS
#include "plugins/nfs/nfs_driver.hpp"
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
#ifdef SAFE_WITH_FILESYSTEM
    add(filesystem::make_drivers(setting));
#endif
#ifdef SAFE_WITH_ISCSI
    add(iscsi::make_drivers(setting));
#endif
#ifdef SAFE_WITH_LDAP
    add(ldap::make_drivers(setting));
#endif
#ifdef SAFE_WITH_LIBVIRT
    add(libvirt::make_drivers(setting));
#endif
#ifdef SAFE_WITH_LUKS
    add(luks::make_drivers(setting));
#endif
#ifdef SAFE_WITH_NFS
    add(nfs::make_drivers(setting));
#endif
#ifdef SAFE_WITH_NFTABLES
    add(nftables::make_drivers(setting));
#endif
    static_cast<void>(setting);
    return drivers;
}

/// For safectl discard-state.
[[nodiscard]] inline base::Result<std::string> discard_state([[maybe_unused]] const driver::Setting& setting,
                                                             const std::string& vm) {
#ifdef SAFE_WITH_LIBVIRT
    return libvirt::discard_state(setting, vm);
#else
    return base::fail({"discard the saved state of", vm, "this build of safectl is without the plugin libvirt",
                       "use a build that has it", base::Error::Kind::refused});
#endif
}

/// The vault's header as members are managed with it; nullptr when this build has no plugin for it. The spec has a
/// vault.
[[nodiscard]] inline std::unique_ptr<members::VaultKeys> make_vault_keys(const driver::Setting& setting) {
#ifdef SAFE_WITH_LUKS
    return luks::make_vault_keys(setting);
#else
    static_cast<void>(setting);
    return nullptr;
#endif
}

/// For safectl header.
[[nodiscard]] inline base::Result<std::unique_ptr<members::HeaderCare>> make_header_care(
    [[maybe_unused]] const driver::Setting& setting, const std::string& volume) {
#ifdef SAFE_WITH_LUKS
    return luks::make_header_care(setting, volume);
#else
    return base::fail({"look at the header of", volume, "this build of safectl is without the plugin luks",
                       "use a build that has it", base::Error::Kind::refused});
#endif
}

/// The directory in the same way. The spec has one.
[[nodiscard]] inline std::unique_ptr<members::Directory> make_directory(const driver::Setting& setting) {
#ifdef SAFE_WITH_LDAP
    return ldap::make_directory(setting);
#else
    static_cast<void>(setting);
    return nullptr;
#endif
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
#ifndef SAFE_WITH_ISCSI
    for (const specs::VolumeSpec& volume : spec.volumes)
        if (volume.iscsi) refuse("volumes." + volume.name + ".iscsi", volume.iscsi->at, "iscsi");
#endif
#ifndef SAFE_WITH_LUKS
    if (!spec.volumes.empty()) refuse("the encryption of volumes", spec.volumes.front().at, "luks");
#endif
#ifndef SAFE_WITH_FILESYSTEM
    if (!spec.volumes.empty()) refuse("volumes", spec.volumes.front().at, "filesystem");
#endif
#ifndef SAFE_WITH_NFS
    for (const specs::VmSpec& vm : spec.vms)
        if (!vm.mounts.empty()) refuse("vms." + vm.name + ".mounts", vm.mounts.front().path.at, "nfs");
#endif
#ifndef SAFE_WITH_LDAP
    if (spec.directory) refuse("directory", spec.directory->at, "ldap");
#endif
    for (const specs::RemovalSpec& removal : spec.remove)
        missing.push_back({"remove." + *removal.resource + " (" + to_text(removal.resource.at) + ")",
                           {"destroy", *removal.resource, "this build destroys nothing that has left the file",
                            "take it away by hand, then remove the line", base::Error::Kind::refused}});
    static_cast<void>(spec);
    return missing;
}

}  // namespace safe::plugins
