#include "plugins/nftables/kernel_features.hpp"

#include <fmt/format.h>

#include <array>

#include "plugins/nftables/rule_text.hpp"

namespace safe::nftables {
namespace {

struct Feature {
    std::string_view what;
    std::string_view rule;
    std::string_view module;
    std::string_view option;
};

constexpr std::array<Feature, 2> features{{
    {"matching the bridge that a frame belongs to (meta ibrname)", "meta ibrname br0 counter", "nft_meta_bridge",
     "CONFIG_NFT_BRIDGE_META"},
    {"tracking connections on a bridge (ct state in family bridge)", "ct state established counter",
     "nf_conntrack_bridge", "CONFIG_NF_CONNTRACK_BRIDGE"},
}};

// A chain without a hook, so that not even for the moment of the check a frame could come by.
base::Result<void> try_rule(Api& api, std::string_view text) {
    const std::string table = "safe-probe";
    Json commands = Json::array();
    const auto add = [&](std::string_view kind, Json object) {
        object["family"] = "bridge";
        commands.push_back(Json::object({{"add", Json::object({{std::string(kind), std::move(object)}})}}));
    };
    add("table", {{"name", table}});
    add("chain", {{"table", table}, {"name", "probe"}});
    if (!text.empty()) {
        auto body = parse_rule_text(text);
        if (!body) return base::fail(std::move(body.error()));
        add("rule", {{"table", table}, {"chain", "probe"}, {"expr", *std::move(body)}});
    }
    return api.run(commands, Api::Run::check);
}

}  // namespace

base::Result<std::vector<model::Refusal>> missing_features(Api& api) {
    if (auto possible = try_rule(api, {}); !possible) {
        base::Error error = std::move(possible.error());
        error.attempt = "ask the kernel about";
        error.object = "its firewall of bridges";
        return base::fail(std::move(error));
    }
    std::vector<model::Refusal> missing;
    for (const auto& [what, rule, module, option] : features) {
        const auto tried = try_rule(api, rule);
        if (tried) continue;
        missing.push_back(
            {fmt::format("kernel: {}", module),
             {"set up", "the firewall", fmt::format("this kernel lacks {}: {}", what, tried.error().cause),
              fmt::format("run `modprobe {}`; if there is no such module, boot a kernel with {}", module, option),
              base::Error::Kind::refused}});
    }
    return missing;
}

}  // namespace safe::nftables
