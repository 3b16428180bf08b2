#include "reconciler/verify/firewall_listing.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace safe::verify {
namespace {

using Json = nlohmann::json;
using base::Result;

std::string text_in(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// The objects of a listing.
Result<Json> list(const System& system, std::vector<std::string> what) {
    std::vector<std::string> command{"nft", "-j", "list"};
    command.insert(command.end(), what.begin(), what.end());
    const Result<base::Finished> answer = system.run(command);
    if (!answer) return base::fail(answer.error());
    std::string shown;
    for (const std::string& word : command) shown += (shown.empty() ? "" : " ") + word;
    if (answer->status != 0)
        return base::fail({.attempt = "run", .object = shown, .cause = answer->errors, .advice = "run as root"});
    Json parsed = Json::parse(answer->output, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("nftables") || !parsed["nftables"].is_array())
        return base::fail({.attempt = "read the answer of", .object = shown, .cause = "it is no listing, or too long"});
    return std::move(parsed["nftables"]);
}

/// Every text and number in a value: an address, a set of interfaces, a range.
void gather(const Json& value, std::set<std::string>& into) {
    if (value.is_string()) into.insert(value.get<std::string>());
    if (value.is_structured())
        for (const Json& part : value) gather(part, into);
}

FirewallRule rule_of(const Json& listed) {
    FirewallRule rule{.comment = text_in(listed, "comment")};
    const auto expression = listed.find("expr");
    if (expression == listed.end() || !expression->is_array()) return rule;
    for (const Json& statement : *expression) {
        if (!statement.is_object()) continue;
        rule.accepts = rule.accepts || statement.contains("accept");
        rule.drops = rule.drops || statement.contains("drop");
        for (const char* verdict : {"jump", "goto"})
            if (statement.contains(verdict)) rule.target = text_in(statement[verdict], "target");
        for (const char* test : {"match", "vmap"})
            if (statement.contains(test)) {
                rule.conditional = true;
                gather(statement[test], rule.mentions);
            }
        // A map of verdicts may accept.
        if (statement.contains("vmap")) rule.accepts = true;
    }
    return rule;
}

}  // namespace

std::vector<std::string> listing_of(const std::string& table, const std::string& chain) {
    return {"chain", "bridge", table, chain};
}

Seen<FirewallTable> read_firewall(const System& system, const std::string& table) {
    const Result<Json> tables = list(system, {"tables", "bridge"});
    if (!tables) return base::fail(tables.error());
    std::optional<FirewallTable> found;
    for (const Json& object : *tables)
        if (object.is_object() && object.contains("table") && text_in(object["table"], "name") == table)
            found = FirewallTable{.flagged = object["table"].contains("flags")};
    if (!found) return std::nullopt;
    const Result<Json> chains = list(system, {"chains", "bridge"});
    if (!chains) return base::fail(chains.error());
    for (const Json& object : *chains)
        if (object.is_object() && object.contains("chain") && text_in(object["chain"], "table") == table)
            found->chains[text_in(object["chain"], "name")].hook = text_in(object["chain"], "hook");
    for (auto& [name, chain] : found->chains) {
        const Result<Json> rules = list(system, listing_of(table, name));
        if (!rules) return base::fail(rules.error());
        for (const Json& object : *rules)
            if (object.is_object() && object.contains("rule")) chain.rules.push_back(rule_of(object["rule"]));
    }
    return *std::move(found);
}

}  // namespace safe::verify
