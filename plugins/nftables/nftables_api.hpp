// What the driver needs of the kernel: list one table of family bridge, run a batch of commands as one transaction, and
// forget tracked connections. The first two speak the JSON of libnftables-json(5), parsed. Implementations are called
// from several threads at once and guard themselves; errors say what to do, and carry no half results.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "reconciler/base/result.hpp"
#include "specs/values.hpp"

namespace safe::nftables {

using Json = nlohmann::json;

class Api {
 public:
    enum class Run {
        check,   // the kernel judges every command and then drops the batch: nothing is there afterwards
        commit,  // all of it at once, or nothing
    };

    Api() = default;
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;
    Api(Api&&) = delete;
    Api& operator=(Api&&) = delete;
    virtual ~Api() = default;

    /// The table of family bridge with this name: an array of its objects (table, chain, rule, set, …) as listed, rules
    /// in their order. nullopt: there is none. Only reads.
    [[nodiscard]] virtual base::Result<std::optional<Json>> list(const std::string& table) = 0;

    /// `commands`: an array of command objects ({"add": {"rule": {…}}}).
    [[nodiscard]] virtual base::Result<void> run(const Json& commands, Run how) = 0;
};

/// The kernel of this network namespace, through libnftables.
[[nodiscard]] std::unique_ptr<Api> make_kernel_api();

/// A tracked connection of IPv4, in the direction in which it was opened.
struct Connection {
    specs::Ipv4 source;
    specs::Ipv4 destination;
    std::uint8_t protocol = 0;  // IANA
    std::uint16_t port = 0;     // of the destination; 0 for ICMP
};

class Connections {
 public:
    Connections() = default;
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;
    Connections(Connections&&) = delete;
    Connections& operator=(Connections&&) = delete;
    virtual ~Connections() = default;

    /// Deletes the entries that `wanted` says yes to and tells how many there were. One that ends by itself meanwhile
    /// is no error.
    [[nodiscard]] virtual base::Result<std::size_t> forget(const std::function<bool(const Connection&)>& wanted) = 0;
};

/// Connection tracking of this network namespace, through libnetfilter_conntrack.
[[nodiscard]] std::unique_ptr<Connections> make_kernel_connections();

}  // namespace safe::nftables
