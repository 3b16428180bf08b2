// What the driver needs of nftables: list one table of family bridge, and run a batch of commands as one transaction.
// Both speak the JSON of libnftables-json(5), parsed. Implementations are called from several threads at once and guard
// themselves; errors say what to do, and carry no half results.
#pragma once

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>

#include "reconciler/base/result.hpp"

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

}  // namespace safe::nftables
