// The name of one thing: a kind and a path of one or more segments, none empty: vm/forge, keyslot/vault/bob,
// image/images/desktop.qcow2. A value; ordered, so that everything keyed by it has one order.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "reconciler/model/kinds.hpp"

namespace safe::model {

struct ResourceId {
    Kind kind = Kind::network;
    std::string path;  // "vault/bob"; in one piece, because there are tens of thousands of them

    auto operator<=>(const ResourceId&) const = default;

    /// The last segment: what a person calls it.
    [[nodiscard]] std::string name() const { return path.substr(path.rfind('/') + 1); }
    /// The first: what it lies in, where there are two.
    [[nodiscard]] std::string place() const { return path.substr(0, path.find('/')); }
};

/// Of one segment, which must not be empty nor contain '/'; or of two.
[[nodiscard]] inline ResourceId make_id(Kind kind, std::string_view name) { return {kind, std::string(name)}; }
[[nodiscard]] inline ResourceId make_id(Kind kind, std::string_view place, std::string_view name) {
    return {kind, std::string(place).append(1, '/').append(name)};
}
/// Whether these are segments.
[[nodiscard]] bool is_path(std::string_view path);

/// "vm/forge".
[[nodiscard]] std::string to_text(const ResourceId& id);

/// The inverse of to_text; nullopt for an unknown kind, a missing or an empty segment.
[[nodiscard]] std::optional<ResourceId> parse_resource_id(std::string_view text);

}  // namespace safe::model
