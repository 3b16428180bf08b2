// Where keyslots lie in the bytes of a header with its areas (an "image", both copies first). Pure; for headers that
// have passed the policy, so that every area lies inside the image and on top of no other.
#pragma once

#include <string>
#include <vector>

#include "plugins/luks/header_image.hpp"

namespace safe::luks {

/// Bytes from the start of the device; `to` is the first one behind.
struct Area {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
};

/// Of the keyslots that are there.
[[nodiscard]] std::vector<Area> areas_of(const Header& header);

/// The image with zeros wherever no keyslot lies: what was left there once is nobody's any more.
[[nodiscard]] std::string without_unused(const Header& header, const std::string& image);

/// Writing the areas of `fresh` over those of `old` leaves every keyslot of `old` as it is: the old header still opens
/// with every key until the new one is there.
[[nodiscard]] bool spares(const Header& old, const std::string& old_image, const Header& fresh,
                          const std::string& fresh_image);

/// Every keyslot of `one` is in `other`, as it is described and with what its area holds.
[[nodiscard]] bool holds_all_of(const Header& other, const std::string& other_image, const Header& one,
                                const std::string& one_image);

/// The numbers of the keyslots that both headers describe alike and whose areas differ all the same.
[[nodiscard]] std::vector<std::string> areas_that_differ(const Header& one, const std::string& one_image,
                                                         const Header& other, const std::string& other_image);

}  // namespace safe::luks
