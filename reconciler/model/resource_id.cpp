#include "reconciler/model/resource_id.hpp"

namespace safe::model {

std::string to_text(const ResourceId& id) {
    std::string text(to_text(id.kind));
    for (const std::string& segment : id.segments) text += "/" + segment;
    return text;
}

std::optional<ResourceId> parse_resource_id(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::optional<Kind> kind = parse_kind(text.substr(0, slash));
    if (!kind) return std::nullopt;
    ResourceId id{.kind = *kind, .segments = {}};
    for (std::string_view rest = text.substr(slash + 1);;) {
        const std::size_t end = rest.find('/');
        const std::string_view segment = rest.substr(0, end);
        if (segment.empty()) return std::nullopt;
        id.segments.emplace_back(segment);
        if (end == std::string_view::npos) return id;
        rest.remove_prefix(end + 1);
    }
}

}  // namespace safe::model
