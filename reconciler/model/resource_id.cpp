#include "reconciler/model/resource_id.hpp"

namespace safe::model {

bool is_path(std::string_view path) {
    return !path.empty() && path.front() != '/' && path.back() != '/' && path.find("//") == std::string_view::npos;
}

std::string to_text(const ResourceId& id) { return std::string(to_text(id.kind)).append(1, '/').append(id.path); }

std::optional<ResourceId> parse_resource_id(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos || !is_path(text.substr(slash + 1))) return std::nullopt;
    const std::optional<Kind> kind = parse_kind(text.substr(0, slash));
    if (!kind) return std::nullopt;
    return ResourceId{*kind, std::string(text.substr(slash + 1))};
}

}  // namespace safe::model
