#include "plugins/luks/keyslot_areas.hpp"

#include <algorithm>

namespace safe::luks {

std::vector<Area> areas_of(const Header& header) {
    std::vector<Area> areas;
    const std::uint64_t end = end_of_areas(header);
    for (const auto& [slot, content] : object_in(header.metadata, "keyslots").items()) {
        const Json& area = object_in(content, "area");
        const std::uint64_t from = std::clamp(number_in(area, "offset").value_or(0), 2 * header.copy_size, end);
        areas.push_back({from, from + std::min(number_in(area, "size").value_or(0), end - from)});
    }
    return areas;
}

std::string without_unused(const Header& header, const std::string& image) {
    std::string blank = image.substr(0, 2 * header.copy_size) + std::string(image.size() - 2 * header.copy_size, '\0');
    for (const auto& [from, to] : areas_of(header)) blank.replace(from, to - from, image, from, to - from);
    return blank;
}

bool spares(const Header& old, const std::string& old_image, const Header& fresh, const std::string& fresh_image) {
    for (const auto& [from, to] : areas_of(old))
        for (const Area& other : areas_of(fresh)) {
            const std::uint64_t begin = std::max(from, other.from);
            const std::uint64_t end = std::min(to, other.to);
            if (begin < end && old_image.compare(begin, end - begin, fresh_image, begin, end - begin) != 0)
                return false;
        }
    return true;
}

bool holds_all_of(const Header& other, const std::string& other_image, const Header& one,
                  const std::string& one_image) {
    const Json& others = object_in(other.metadata, "keyslots");
    for (const auto& [slot, content] : object_in(one.metadata, "keyslots").items())
        if (!others.contains(slot) || others[slot] != content) return false;
    return areas_that_differ(one, one_image, other, other_image).empty();
}

std::vector<std::string> areas_that_differ(const Header& one, const std::string& one_image, const Header& other,
                                           const std::string& other_image) {
    std::vector<std::string> differ;
    const Json& others = object_in(other.metadata, "keyslots");
    for (const auto& [slot, content] : object_in(one.metadata, "keyslots").items()) {
        if (!others.contains(slot) || others[slot] != content) continue;
        const Json& area = object_in(content, "area");
        const std::uint64_t from = number_in(area, "offset").value_or(0);
        const std::uint64_t size = number_in(area, "size").value_or(0);
        const bool inside = from <= one_image.size() && from <= other_image.size();
        if (!inside || one_image.compare(from, size, other_image, from, size) != 0) differ.push_back(slot);
    }
    return differ;
}

}  // namespace safe::luks
