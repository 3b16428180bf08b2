#include "plugins/libvirt/libvirt_driver.hpp"

#include <fmt/format.h>

#include "plugins/libvirt/deep_sleep.hpp"
#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/libvirt_lib.hpp"
#include "plugins/libvirt/witnessed_api.hpp"

namespace safe::libvirt {
namespace {

// Definitions carry absolute paths, as libvirt runs elsewhere.
Layout layout_of(const Options& options) {
    return {options.safe, std::filesystem::absolute(options.state_dir).lexically_normal(), options.keep};
}

Keep keep_of(const driver::Setting& setting) {
    Keep keep;
    const driver::Places& places = setting.places;
    if (const specs::VolumeSpec* vault = setting.spec.vault()) {
        keep.vault = vault->name;
        keep.vault_mount = places.mount_point(vault->name);
        keep.memory = places.saved_memory(vault->name, "any").parent_path();
    }
    if (const specs::VolumeSpec* disks = driver::Places::disks_volume(setting.spec)) {
        keep.disks_volume = disks->name;
        keep.disks_mount = places.mount_point(disks->name);
        keep.disks = places.workspace_disks(setting.spec);
        keep.disks_stay = driver::Places::stays_open(setting.spec, *disks);
    }
    keep.mounts = places.mount_root();
    for (const specs::VmSpec& vm : setting.spec.vms) {
        if (vm.cloud_init) {
            const auto& user_data = vm.cloud_init->user_data;
            keep.cloud_init[vm.name] = to_text(user_data ? user_data->at : vm.cloud_init->at);
        }
        if (*vm.role != specs::Role::workspace) continue;
        keep.workspaces.insert(vm.name);
        keep.memory_of_workspaces += vm.memory_max->bytes;
    }
    return keep;
}

/// The connection that the drivers share. On this machine the kernel is asked, too, whether guests run.
SharedApi connection(const Options& options) {
    SharedApi api = make_libvirt_api(options.uri);
    return options.uri.starts_with("qemu:///") ? witnessed(std::move(api), kernel_witness(options.safe)) : api;
}

}  // namespace

Options options_of(const driver::Setting& setting) {
    return {.uri = *setting.spec.hypervisor,
            .safe = setting.places.safe(),
            .state_dir = setting.places.state_dir(),
            .suspend = setting.spec.suspend ? **setting.spec.suspend : specs::Suspend::ram,
            .keep = keep_of(setting)};
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    return make_drivers(options_of(setting));
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const Options& options) {
    return make_drivers(options, connection(options));
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const Options& options, const std::shared_ptr<Api>& api) {
    const Layout layout = layout_of(options);
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(make_network_driver(api, layout));
    drivers.push_back(make_image_driver(layout));
    drivers.push_back(make_disk_driver(api, layout));
    drivers.push_back(make_vm_driver(api, layout, options.uri));
    drivers.push_back(make_power_driver(api, layout, options.suspend, options.grace));
    return drivers;
}

base::Result<std::string> discard_state(const driver::Setting& setting, const std::string& vm) {
    const Options options = options_of(setting);
    const Layout layout = layout_of(options);
    const SharedApi api = connection(options);
    const Sighting sighting = DomainFinder(api, layout).find(vm, View::live);
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail({.attempt = "discard the saved state of",
                           .object = vm,
                           .cause = std::move(cause),
                           .advice = std::move(advice),
                           .kind = base::Error::Kind::refused});
    };
    if (const auto* unknown = std::get_if<model::Unknown>(&sighting)) return base::fail(unknown->error);
    if (const auto* foreign = std::get_if<model::Foreign>(&sighting)) return refuse(foreign->what, foreign->advice);
    const auto* found = std::get_if<Found>(&sighting);
    if (found == nullptr) return refuse("there is no such virtual machine of this safe", "safectl status lists them");
    if (base::Result<void> done = DeepSleep(api, layout).discard(*found); !done) return base::fail(done.error());
    return fmt::format("nothing is saved of {} any more: it boots anew from its disk when the safe opens", vm);
}

}  // namespace safe::libvirt
