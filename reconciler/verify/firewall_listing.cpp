#include "reconciler/verify/firewall_listing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace safe::verify {
namespace {

using Json = nlohmann::json;
using base::Result;

std::string text_in(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::unexpected<base::Error> no_listing(const std::vector<std::string>& command) {
    return base::fail({.attempt = "read the answer of",
                       .object = fmt::format("{}", fmt::join(command, " ")),
                       .cause = "it is no listing, or too long"});
}

Result<std::string> ask(const System& system, const std::vector<std::string>& command) {
    Result<base::Finished> answer = system.run(command);
    if (!answer) return base::fail(answer.error());
    if (answer->status != 0)
        return base::fail({.attempt = "run",
                           .object = fmt::format("{}", fmt::join(command, " ")),
                           .cause = answer->errors,
                           .advice = "run as root"});
    return std::move(answer->output);
}

/// The objects of a listing.
Result<Json> list(const System& system, std::vector<std::string> what) {
    std::vector<std::string> command{"nft", "-j", "list"};
    command.insert(command.end(), what.begin(), what.end());
    const Result<std::string> answer = ask(system, command);
    if (!answer) return base::fail(answer.error());
    Json parsed = Json::parse(*answer, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("nftables") || !parsed["nftables"].is_array())
        return no_listing(command);
    return std::move(parsed["nftables"]);
}

/// The table without its chains. Not by JSON, in which nft 1.0.6 prints a flag from memory that it has freed.
Seen<FirewallTable> read_table(const System& system, const std::string& name) {
    const std::string heading = "table bridge " + name;
    const Result<std::string> tables = ask(system, {"nft", "list", "tables", "bridge"});
    if (!tables) return base::fail(tables.error());
    if (("\n" + *tables).find("\n" + heading + "\n") == std::string::npos) return std::nullopt;
    const std::vector<std::string> command{"nft", "list", "table", "bridge", name};
    const Result<std::string> table = ask(system, command);
    if (!table) return base::fail(table.error());
    // Behind the brace, a table with an owner has a remark of who that is.
    const std::size_t first_line = table->find('\n');
    if (!table->starts_with(heading + " {") || first_line == std::string::npos) return no_listing(command);
    return FirewallTable{.flagged = table->substr(first_line).starts_with("\n\tflags ")};
}

/// Every text and number in a value: an address, a set of interfaces, a range.
void gather(const Json& value, std::set<std::string>& into) {
    if (value.is_string()) into.insert(value.get<std::string>());
    if (value.is_structured())
        for (const Json& part : value) gather(part, into);
}

/// A value that frames are compared with; members of a set sorted and behind commas.
std::string value_text(const Json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_array()) {
        std::set<std::string> members;
        for (const Json& member : value) members.insert(value_text(member));
        return fmt::format("{}", fmt::join(members, ","));
    }
    if (!value.is_object() || value.size() != 1) return value.dump();
    const Json& inner = value.front();
    if (value.contains("set") && inner.is_array()) return value_text(inner);
    if (value.contains("range") && inner.is_array() && inner.size() == 2)
        return value_text(inner[0]) + "-" + value_text(inner[1]);
    if (value.contains("prefix") && inner.is_object() && inner.contains("addr") && inner.contains("len"))
        return value_text(inner["addr"]) + "/" + value_text(inner["len"]);
    return value.dump();
}

/// "tcp dport 22". What is not plainly "equal to" or "one of" is spelled as no such thing.
std::string test_text(const Json& match) {
    if (!match.is_object() || !match.contains("left") || !match.contains("right")) return match.dump();
    const Json& left = match["left"];
    if (!left.is_object() || left.size() != 1) return match.dump();
    const Json& inner = left.front();
    const std::string field = left.contains("payload") ? text_in(inner, "protocol") + " " + text_in(inner, "field")
                              : left.contains("ct")    ? "ct " + text_in(inner, "key")
                              : left.contains("meta")  ? text_in(inner, "key")
                                                       : left.dump();
    const bool bridge = field == "ibrname" || field == "obrname";
    const std::string op = text_in(match, "op");
    const bool plain = op == "==" || (op == "in" && left.contains("ct"));
    return fmt::format("{}{}{} {}", bridge ? "meta " : "", field, plain ? "" : " " + op, value_text(match["right"]));
}

/// Neither a verdict nor anything that changes a frame or where it goes.
bool harmless(const Json& statement) {
    return std::ranges::any_of(
        std::array{"match", "counter", "log", "limit", "accept", "drop", "reject", "jump", "goto"},
        [&](const char* known) { return statement.contains(known); });
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
        rule.comes_back = rule.comes_back || statement.contains("jump");
        rule.other = rule.other || !harmless(statement);
        if (statement.contains("limit")) {
            rule.conditional = true;
            rule.tests.insert("limit");
        }
        if (statement.contains("match")) rule.tests.insert(test_text(statement["match"]));
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

std::string declared_name(const FirewallRule& rule) { return rule.comment.substr(0, rule.comment.find(": ")); }

std::vector<std::string> listing_of(const std::string& table, const std::string& chain) {
    return {"chain", "bridge", table, chain};
}

Seen<FirewallTable> read_firewall(const System& system, const std::string& table) {
    Seen<FirewallTable> seen = read_table(system, table);
    if (!seen.there()) return seen;
    FirewallTable& found = seen.value();
    const Result<Json> chains = list(system, {"chains", "bridge"});
    if (!chains) return base::fail(chains.error());
    for (const Json& object : *chains)
        if (object.is_object() && object.contains("chain") && text_in(object["chain"], "table") == table)
            found.chains[text_in(object["chain"], "name")].hook = text_in(object["chain"], "hook");
    for (auto& [name, chain] : found.chains) {
        const Result<Json> rules = list(system, listing_of(table, name));
        if (!rules) return base::fail(rules.error());
        for (const Json& object : *rules)
            if (object.is_object() && object.contains("rule")) chain.rules.push_back(rule_of(object["rule"]));
    }
    return seen;
}

}  // namespace safe::verify
