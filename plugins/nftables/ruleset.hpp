// The firewall as this plugin thinks of it, between a spec, a kernel and attributes. All of it lies in one table of
// family bridge, "safe-<name>", that is ours when it holds the chain `owned-by-safe` (libnftables 1.0.6 lists no table
// comments as JSON; a chain stays when somebody flushes the table). Values.
//
// A ruleset is a resource: `ruleset/base` is the table, every chain with a hook and the chain `base` that judges the
// frames of the safe's bridge; it jumps to the chains `storage`, `open` and `locked`, whose rules are the resources of
// these names. A chain of these always exists; the resource is there when the chain has rules, of which the first only
// counts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/nftables/nftables_api.hpp"
#include "reconciler/model/attributes.hpp"

namespace safe::nftables {

inline constexpr std::string_view base_chain = "base";
inline constexpr std::string_view storage_chain = "storage";
inline constexpr std::string_view open_chain = "open";
inline constexpr std::string_view locked_chain = "locked";
inline constexpr std::string_view mark_chain = "owned-by-safe";
/// Chains whose existence belongs to ruleset/base and whose rules are a resource of their own.
inline constexpr std::array<std::string_view, 3> mode_chains{storage_chain, open_chain, locked_chain};
[[nodiscard]] bool is_mode_chain(std::string_view name);

/// The name is the rule's comment in the kernel, unique in its chain. "users-to-desktop: tcp/22" is the part "tcp/22"
/// of what the plan shows as users-to-desktop.
struct Rule {
    std::string name;
    std::string text;  // rule_text.hpp
    bool operator==(const Rule&) const = default;
};

struct Hook {
    std::string type;
    std::string hook;
    std::int64_t priority = 0;
    std::string policy;
    bool operator==(const Hook&) const = default;
};

struct Chain {
    std::string name;
    std::optional<Hook> hook = std::nullopt;
    std::vector<Rule> rules = {};
    bool operator==(const Chain&) const = default;
};

struct ListedRule {
    Rule rule;  // an empty name: it has no comment
    std::uint64_t handle = 0;
};

struct ListedChain {
    std::string name;
    std::optional<Hook> hook = std::nullopt;
    std::vector<ListedRule> rules = {};
};

/// A set, a named counter, …: we make none.
struct NamedObject {
    std::string kind;
    std::string name;
};

/// One table as it was listed.
struct Table {
    std::vector<ListedChain> chains;
    std::vector<NamedObject> objects;
    bool flagged = false;  // dormant, say: then nothing of it is in effect

    [[nodiscard]] const ListedChain* chain(std::string_view name) const;
    [[nodiscard]] bool ours() const { return chain(mark_chain) != nullptr; }
};

/// From what Api::list returns.
[[nodiscard]] base::Result<Table> parse_table(const Json& listed);

/// What is owned of ruleset/<name>: `rules` of the chain of that name; for base also `chains`, the others with their
/// hooks, and `rules/<chain>` of each of these that has any.
[[nodiscard]] model::Attributes attributes_of(std::string_view ruleset, const std::vector<Chain>& chains);
/// The same of a listed table. A rule without a name, or with one that was there before, gets one from its handle.
[[nodiscard]] model::Attributes attributes_of(std::string_view ruleset, const Table& table);

/// The inverse of the first. Fails on what it cannot have made.
[[nodiscard]] base::Result<std::vector<Chain>> chains_of(std::string_view ruleset, const model::Attributes& attributes);

/// Rules of the file and implied ones, each counted once, however many parts it has.
[[nodiscard]] std::size_t count_rules(const model::Attributes& attributes);

}  // namespace safe::nftables
