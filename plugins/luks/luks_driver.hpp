// The drivers of the safe's encryption: containers (LUKS2 headers), mappings (opened volumes) and keyslots (who may
// open the vault). See docs/storage.md. Thread-safe, as driver.hpp asks; nothing is looked at before the first observe.
#pragma once

#include <memory>
#include <vector>

#include "plugins/luks/luks_api.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::luks {

/// For container, mapping and keyslot, with a key helper beside the running program or where it is installed.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting);

/// The same over another Api.
[[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> make_drivers(const driver::Setting& setting,
                                                                        const std::shared_ptr<Api>& api);

}  // namespace safe::luks
