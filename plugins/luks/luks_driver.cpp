#include "plugins/luks/luks_driver.hpp"

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/key_helper.hpp"

namespace safe::luks {

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting) {
    return make_drivers(setting, make_helper_api(usual_helper()));
}

std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                          const std::shared_ptr<Api>& api) {
    const Ground ground{.setting = setting, .api = api};
    std::vector<std::unique_ptr<driver::Driver>> drivers;
    drivers.push_back(make_container_driver(ground));
    drivers.push_back(make_mapping_driver(ground));
    drivers.push_back(make_keyslot_driver(ground));
    return drivers;
}

}  // namespace safe::luks
