#include "plugins/libvirt/libvirt_driver.hpp"

#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/libvirt_lib.hpp"

namespace safe::libvirt {

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const Options& options) {
    const SharedApi api = make_libvirt_api(options.uri);
    return make_drivers(options, api);
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const Options& options, const std::shared_ptr<Api>& api) {
    // Definitions carry absolute paths, as libvirt runs elsewhere.
    const Layout layout(options.safe, std::filesystem::absolute(options.state_dir).lexically_normal());
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(make_network_driver(api, layout));
    drivers.push_back(make_image_driver(layout));
    drivers.push_back(make_disk_driver(api, layout));
    drivers.push_back(make_vm_driver(api, layout, options.uri));
    drivers.push_back(make_power_driver(api, layout, options.grace));
    return drivers;
}

}  // namespace safe::libvirt
