// Parts of resolve_endpoint (specs/spec.hpp) for those who have an index of the VMs. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "specs/spec.hpp"

namespace safe::specs {

[[nodiscard]] Endpoint endpoint_of(const VmSpec& vm);

/// What a word names that is no VM: a zone, an address or a network.
[[nodiscard]] std::optional<Endpoint> resolve_zone_or_address(const SafeSpec& spec, std::string_view word);

}  // namespace safe::specs
