// Regular expressions (the common part of ECMA 262 and the rest) that say exactly what a bound says, so that a bound is
// written once and the JSON Schema judges as the loader does. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace safe::specs {

/// Matches the whole numbers from `lowest` to `highest`, in decimal without leading zeros. Not anchored; one group.
[[nodiscard]] std::string decimal_pattern(std::uint64_t lowest, std::uint64_t highest);

/// "^(?:…)$".
[[nodiscard]] std::string anchored(std::string_view pattern);

}  // namespace safe::specs
