// What members are managed with: reconciler/members' VaultKeys over the vault's LUKS2 header. As vault_keys.hpp there
// says; keyslot, token and sequence of one change reach the device in one write of the header, so nothing is ever half
// there.
#pragma once

#include <memory>

#include "plugins/luks/luks_api.hpp"
#include "reconciler/driver/setting.hpp"
#include "reconciler/members/vault_keys.hpp"

namespace safe::luks {

/// The vault of the setting's spec, which must have one. Another Api is for tests.
[[nodiscard]] std::unique_ptr<members::VaultKeys> make_vault_keys(const driver::Setting& setting);
[[nodiscard]] std::unique_ptr<members::VaultKeys> make_vault_keys(const driver::Setting& setting,
                                                                  std::shared_ptr<Api> api);

}  // namespace safe::luks
