#include "plugins/nftables/ruleset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "plugins/nftables/rule_text.hpp"

namespace safe::nftables {
namespace {

using model::Branch;
using model::Entry;
using model::Value;

// Keys of attributes: the rules of the chain called like the ruleset, and of another chain.
constexpr std::string_view main_rules = "rules";
constexpr std::string_view other_rules = "rules/";

constexpr std::string_view part_separator = ": ";
constexpr std::string_view stranger_prefix = "unknown/handle-";

bool is_stranger(std::string_view name) { return name.starts_with(stranger_prefix); }

struct SplitName {
    std::string_view group;
    std::optional<std::string_view> part;
};

SplitName split_name(std::string_view name) {
    const auto at = name.find(part_separator);
    if (at == std::string_view::npos) return {name, std::nullopt};
    return {name.substr(0, at), name.substr(at + part_separator.size())};
}

/// Rules in their order; neighbours that are parts of one rule under one key, and a stranger among them before it.
Branch rules_branch(const std::vector<Rule>& rules) {
    std::vector<Entry> entries;
    std::vector<Entry> parts;
    std::string_view group;
    const auto close_group = [&] {
        if (!parts.empty())
            entries.push_back({std::string(group), Branch(Branch::Order::significant, std::move(parts))});
        parts.clear();
    };
    for (const Rule& rule : rules) {
        if (is_stranger(rule.name)) {
            entries.push_back({rule.name, rule.text});
            continue;
        }
        const SplitName name = split_name(rule.name);
        if (!name.part || name.group != group) close_group();
        group = name.group;
        if (name.part)
            parts.push_back({std::string(*name.part), rule.text});
        else
            entries.push_back({rule.name, rule.text});
    }
    close_group();
    return {Branch::Order::significant, std::move(entries)};
}

Branch hook_branch(const std::optional<Hook>& hook) {
    Branch branch;
    if (!hook) return branch;
    branch.set("type", hook->type).set("hook", hook->hook);
    branch.set("priority", hook->priority).set("policy", hook->policy);
    return branch;
}

/// Names that rules_branch can use as keys. Whoever meddled may have left out a comment, used one twice, torn the parts
/// of a rule asunder: the first keeps the name, the others are strangers, named after their handles, which nobody
/// declares.
std::vector<Rule> with_unique_names(const std::vector<ListedRule>& listed) {
    std::unordered_set<std::string_view> names;
    std::unordered_set<std::string_view> groups;
    std::string_view open_group;
    std::vector<Rule> rules;
    rules.reserve(listed.size());
    for (const auto& [rule, handle] : listed) {
        const SplitName name = split_name(rule.name);
        const bool goes_on = name.part && name.group == open_group;
        const bool usable = !name.group.empty() && !is_stranger(rule.name) && !names.contains(rule.name) &&
                            (goes_on || !groups.contains(name.group));
        if (!usable) {
            rules.push_back({fmt::format("{}{}", stranger_prefix, handle), rule.text});
            continue;
        }
        names.insert(rule.name);
        groups.insert(name.group);
        open_group = name.part ? name.group : std::string_view();
        rules.push_back(rule);
    }
    return rules;
}

base::Error unreadable(std::string_view ruleset, std::string cause) {
    return {"read the desired rules of", fmt::format("ruleset/{}", ruleset), std::move(cause),
            "plan again with this build"};
}

const std::string* text_of(const Value& value) {
    const model::Scalar* scalar = value.scalar();
    return scalar != nullptr ? std::get_if<std::string>(scalar) : nullptr;
}

/// false: something that rules_branch does not make.
bool read_rules(const Branch& branch, std::vector<Rule>& rules) {
    for (const Entry& entry : branch.entries()) {
        if (const Branch* parts = entry.value.branch()) {
            for (const Entry& part : parts->entries()) {
                const std::string* text = text_of(part.value);
                if (text == nullptr) return false;
                rules.push_back({entry.key + std::string(part_separator) + part.key, *text});
            }
        } else if (const std::string* text = text_of(entry.value)) {
            rules.push_back({entry.key, *text});
        } else {
            return false;
        }
    }
    return true;
}

std::optional<Hook> read_hook(const Branch& branch) {
    const auto* type = model::get<std::string>(branch, "type");
    const auto* hook = model::get<std::string>(branch, "hook");
    const auto* priority = model::get<std::int64_t>(branch, "priority");
    const auto* policy = model::get<std::string>(branch, "policy");
    if (!type || !hook || !priority || !policy) return std::nullopt;
    return Hook{*type, *hook, *priority, *policy};
}

std::optional<Hook> hook_of(const Json& chain) {
    if (!chain.contains("hook")) return std::nullopt;
    return Hook{chain.value("type", ""), chain.value("hook", ""), chain.value("prio", std::int64_t{0}),
                chain.value("policy", "")};
}

}  // namespace

bool is_mode_chain(std::string_view name) { return std::ranges::find(mode_chains, name) != mode_chains.end(); }

const ListedChain* Table::chain(std::string_view name) const {
    const auto found = std::ranges::find(chains, name, &ListedChain::name);
    return found == chains.end() ? nullptr : &*found;
}

base::Result<Table> parse_table(const Json& listed) try {
    Table table;
    std::unordered_map<std::string, std::size_t> places;
    for (const Json& object : listed) {
        if (!object.is_object() || object.size() != 1) continue;
        const std::string& kind = object.begin().key();
        const Json& inner = *object.begin();
        if (kind == "metainfo") continue;
        if (kind == "table") {
            table.flagged = inner.contains("flags");  // 1.0.6 prints the key when there are any, with a wrong value
        } else if (kind == "chain") {
            places.emplace(inner.at("name"), table.chains.size());
            table.chains.push_back({inner.at("name"), hook_of(inner)});
        } else if (kind == "rule") {
            table.chains.at(places.at(inner.at("chain")))
                .rules.push_back({{inner.value("comment", ""), to_rule_text(inner.value("expr", Json::array()))},
                                  inner.at("handle")});
        } else {
            table.objects.push_back({kind, inner.at("name")});
        }
    }
    return table;
} catch (const std::exception& unexpected) {
    return base::fail({"read", "the listing of a table of nftables", unexpected.what(),
                       "report this with the output of `nft -j list ruleset`"});
}

model::Attributes attributes_of(std::string_view ruleset, const std::vector<Chain>& chains) {
    model::Attributes attributes;
    Branch others;
    for (const Chain& chain : chains) {
        if (chain.name == ruleset && !chain.hook) {
            attributes.set(main_rules, rules_branch(chain.rules));
            continue;
        }
        others.set(chain.name, hook_branch(chain.hook));
        if (!chain.rules.empty())
            attributes.set(fmt::format("{}{}", other_rules, chain.name), rules_branch(chain.rules));
    }
    if (!others.empty()) attributes.set("chains", std::move(others));
    return attributes;
}

model::Attributes attributes_of(std::string_view ruleset, const Table& table) {
    const bool whole = ruleset == base_chain;
    std::vector<Chain> chains;
    for (const ListedChain& listed : table.chains) {
        if (!whole && listed.name != ruleset) continue;
        Chain chain{listed.name, listed.hook};
        if (!whole || !is_mode_chain(listed.name)) chain.rules = with_unique_names(listed.rules);
        chains.push_back(std::move(chain));
    }
    model::Attributes attributes = attributes_of(ruleset, chains);
    if (!whole) return attributes;
    Branch objects;
    for (const auto& [kind, name] : table.objects) objects.set(fmt::format("{} {}", kind, name), "unknown");
    if (!objects.empty()) attributes.set("objects", std::move(objects));
    if (table.flagged) attributes.set("flags", "dormant or another");
    return attributes;
}

base::Result<std::vector<Chain>> chains_of(std::string_view ruleset, const model::Attributes& attributes) {
    std::map<std::string, Chain> chains;
    const auto chain = [&](std::string_view name) -> Chain& {
        return chains.try_emplace(std::string(name), Chain{std::string(name)}).first->second;
    };
    for (const Entry& entry : attributes.entries()) {
        const Branch* branch = entry.value.branch();
        if (branch == nullptr) return base::fail(unreadable(ruleset, entry.key + " is not a tree"));
        if (entry.key == "chains") {
            for (const auto& [name, value] : branch->entries())
                chain(name).hook = value.branch() ? read_hook(*value.branch()) : std::nullopt;
        } else if (entry.key == main_rules || entry.key.starts_with(other_rules)) {
            const std::string_view name =
                entry.key == main_rules ? ruleset : std::string_view(entry.key).substr(other_rules.size());
            if (!read_rules(*branch, chain(name).rules))
                return base::fail(unreadable(ruleset, fmt::format("a rule of chain {} is not a text", name)));
        } else {
            return base::fail(unreadable(ruleset, entry.key + " is not known"));
        }
    }
    std::vector<Chain> list;
    list.reserve(chains.size());
    for (auto& [name, one] : chains) list.push_back(std::move(one));
    return list;
}

std::size_t count_rules(const model::Attributes& attributes) {
    std::size_t count = 0;
    for (const Entry& entry : attributes.entries())
        if (const Branch* rules = entry.value.branch();
            rules != nullptr && (entry.key == main_rules || entry.key.starts_with(other_rules)))
            count += rules->entries().size();
    return count;
}

}  // namespace safe::nftables
