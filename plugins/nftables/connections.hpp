// Entries of connection tracking whose permission ends. A rule that goes forbids the packets at once (its replies are
// in the same chain); the entries are deleted besides, so that nothing later can count as a part of a connection that
// was allowed once. Which entries a rule is about is read from its text: more is forgotten rather than less, but only
// of connections that touch the safe's addresses. One that is allowed by another rule too is taken up again by the
// kernel with its next packet. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"
#include "plugins/nftables/ruleset.hpp"
#include "specs/values.hpp"

namespace safe::nftables {

/// Connections as one rule describes them, in the direction in which they were opened. What is not set is anything.
struct Flow {
    std::optional<specs::Cidr> source = std::nullopt;
    std::optional<specs::Cidr> destination = std::nullopt;
    std::optional<std::uint8_t> protocol = std::nullopt;     // IANA: 1 ICMP, 6 TCP, 17 UDP
    std::optional<std::uint16_t> first_port = std::nullopt;  // of the destination
    std::optional<std::uint16_t> last_port = std::nullopt;
    bool operator==(const Flow&) const = default;
};

[[nodiscard]] bool matches(const Flow& flow, const Connection& connection);

/// nullopt for a rule that is about no connection of IPv4 (ARP, other protocols, errors about connections), or that
/// neither accepts nor drops.
[[nodiscard]] std::optional<Flow> flow_of(const Rule& rule);

/// What a transaction changes for connections.
struct Turn {
    std::vector<Flow> before;  // newly allowed: what is left of earlier times is forgotten before it
    std::vector<Flow> after;   // no longer allowed, or newly forbidden: forgotten once it stands
};
/// `there`: nullptr for no table. `wanted`: the chains that the transaction is about; all others stay, except that
/// `whole_table` takes away those that are not wanted.
[[nodiscard]] Turn turn_of(const Table* there, const std::vector<Chain>& wanted, bool whole_table);

}  // namespace safe::nftables
