// What `safectl header accept|backup|restore` does. A header that is not the one on record is only trusted with a key
// that opens it: a member's for the vault, the one in the vault for other volumes. Root alone is not enough. Callers
// hold the safe's lock file; the volume's storage is attached.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "plugins/luks/luks_api.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::luks {

/// Puts the header on the device on record. Refused: an older one, one for another volume key, one that breaks the
/// policy, a key that does not open it.
[[nodiscard]] base::Result<void> accept_header(const driver::Setting& setting, std::string_view volume);
/// Keeps the header as it is on the device, which must be on record; returns the file.
[[nodiscard]] base::Result<std::filesystem::path> back_up_header(const driver::Setting& setting,
                                                                 std::string_view volume);
/// Writes a backup (empty: the newest) over the header on the device. Refused: another volume's, one that the key does
/// not open, a volume that is open.
[[nodiscard]] base::Result<void> restore_header(const driver::Setting& setting, std::string_view volume,
                                                const std::filesystem::path& backup);

// The same over another Api.
[[nodiscard]] base::Result<void> accept_header(const driver::Setting& setting, std::string_view volume,
                                               const std::shared_ptr<Api>& api);
[[nodiscard]] base::Result<void> restore_header(const driver::Setting& setting, std::string_view volume,
                                                const std::filesystem::path& backup, const std::shared_ptr<Api>& api);

}  // namespace safe::luks
