// reconciler/members' HeaderCare over a LUKS2 header: what `safectl header` does. As header_care.hpp there says.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/luks/luks_api.hpp"
#include "reconciler/driver/setting.hpp"
#include "reconciler/members/header_care.hpp"

namespace safe::luks {

struct Record;
struct Sighting;
class VolumeHeader;

/// Refused when the spec declares no volume of that name. Another Api is for tests.
[[nodiscard]] base::Result<std::unique_ptr<members::HeaderCare>> make_header_care(const driver::Setting& setting,
                                                                                  std::string_view volume);
[[nodiscard]] base::Result<std::unique_ptr<members::HeaderCare>> make_header_care(const driver::Setting& setting,
                                                                                  std::string_view volume,
                                                                                  std::shared_ptr<Api> api);

/// header_list.cpp
[[nodiscard]] std::vector<members::SeenHeader> list_headers(const VolumeHeader& header);
/// "keyslots in it: alice (0), bob (1), known from the record alone, nobody named (2)"
[[nodiscard]] std::string keyslots_in_words(const Header& header, const std::optional<Record>& known);
/// What a look found, as an end of the sentence "what is on the device: ".
[[nodiscard]] std::string in_words(const Sighting& seen);

}  // namespace safe::luks
