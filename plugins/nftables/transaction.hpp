// From a table as it is listed to the one batch of commands that makes it what is wanted. Rules that are as they should
// be are not mentioned in it: they keep their handles and counters. Pure.
#pragma once

#include <string>
#include <vector>

#include "plugins/nftables/ruleset.hpp"

namespace safe::nftables {

enum class Extent {
    whole_table,    // what is not wanted goes: other chains, sets, flags; the rules of mode chains are left alone
    wanted_chains,  // only the chains at hand
};

/// Empty when there is nothing to do. `there`: nullptr for no such table. Fails on a rule text that cannot be read.
[[nodiscard]] base::Result<Json> changes(const std::string& table, const Table* there, const std::vector<Chain>& wanted,
                                         Extent extent);

[[nodiscard]] Json empty_chain(const std::string& table, std::string_view chain);
[[nodiscard]] Json delete_table(const std::string& table);

}  // namespace safe::nftables
