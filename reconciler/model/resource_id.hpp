// The name of one thing: a kind and one or more segments, none empty and none containing '/': vm/forge,
// keyslot/vault/bob, image/images/desktop.qcow2. A value; ordered, so that everything keyed by it has one order.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/model/kinds.hpp"

namespace safe::model {

struct ResourceId {
    Kind kind = Kind::network;
    std::vector<std::string> segments;

    auto operator<=>(const ResourceId&) const = default;

    /// The last segment: what a person calls it.
    [[nodiscard]] const std::string& name() const { return segments.back(); }
};

/// One segment, which must not be empty nor contain '/'.
[[nodiscard]] inline ResourceId make_id(Kind kind, std::string_view name) { return {kind, {std::string(name)}}; }

/// "vm/forge".
[[nodiscard]] std::string to_text(const ResourceId& id);

/// The inverse of to_text; nullopt for an unknown kind, a missing or an empty segment.
[[nodiscard]] std::optional<ResourceId> parse_resource_id(std::string_view text);

}  // namespace safe::model
