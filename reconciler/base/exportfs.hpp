// How exportfs(8) is told which export is meant. Pure.
#pragma once

#include <string>
#include <string_view>

namespace safe::base {

/// CLIENT:PATH, of a client as etab has it. An address of IPv6, alone or of a network, needs brackets here, and has
/// none there: "[2001:db8::]/32:/srv/safe/atlas/data".
[[nodiscard]] std::string exportfs_argument(std::string_view client, std::string_view path);

}  // namespace safe::base
