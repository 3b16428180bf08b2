#include "plugins/nftables/transaction.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "plugins/nftables/rule_text.hpp"

namespace safe::nftables {
namespace {

Json command(std::string_view verb, std::string_view kind, Json object) {
    return Json::object({{std::string(verb), Json::object({{std::string(kind), std::move(object)}})}});
}

/// For each listed rule the index of the wanted one that it stays as, or nothing. The rules that stay are a longest run
/// that is in the wanted order already (patience sorting, Fredman 1975).
std::vector<std::optional<std::size_t>> rules_that_stay(const std::vector<ListedRule>& there,
                                                        const std::vector<Rule>& wanted) {
    using Key = std::pair<std::string_view, std::string_view>;
    std::map<Key, std::size_t> places;
    for (std::size_t i = 0; i < wanted.size(); ++i) places.emplace(Key(wanted[i].name, wanted[i].text), i);
    struct Link {
        std::size_t listed;
        std::size_t wanted;
        std::optional<std::size_t> before;  // in links
    };
    std::vector<Link> links;
    std::vector<std::size_t>
        tails;  // tails[k]: the link with the smallest wanted place that ends a run of length k + 1
    for (std::size_t i = 0; i < there.size(); ++i) {
        const auto found = places.find(Key(there[i].rule.name, there[i].rule.text));
        if (found == places.end()) continue;
        const auto place =
            std::ranges::lower_bound(tails, found->second, {}, [&](std::size_t t) { return links[t].wanted; });
        links.push_back(
            {i, found->second, place == tails.begin() ? std::nullopt : std::optional<std::size_t>(*std::prev(place))});
        if (place == tails.end())
            tails.push_back(links.size() - 1);
        else
            *place = links.size() - 1;
    }
    std::vector<std::optional<std::size_t>> stay(there.size());
    std::optional<std::size_t> at = tails.empty() ? std::nullopt : std::optional(tails.back());
    for (; at; at = links[*at].before) stay[links[*at].listed] = links[*at].wanted;
    return stay;
}

/// The commands in the order that the kernel can follow: what goes, goes first, rules before the chains they name; then
/// chains, then the rules that may jump to them.
class Batch {
 public:
    explicit Batch(const std::string& table) : table_(table) {}

    void add_table() { table_commands_.push_back(command("add", "table", named(table_))); }

    void delete_object(const NamedObject& object) {
        gone_.push_back(command("delete", object.kind, in_table(object.name)));
    }

    void delete_chain(const ListedChain& chain) {
        gone_rules_.push_back(command("flush", "chain", in_table(chain.name)));
        gone_.push_back(command("delete", "chain", in_table(chain.name)));
    }

    void add_chain(const Chain& chain) {
        Json object = in_table(chain.name);
        if (chain.hook) {
            object["type"] = chain.hook->type;
            object["hook"] = chain.hook->hook;
            object["prio"] = chain.hook->priority;
            object["policy"] = chain.hook->policy;
        }
        chains_.push_back(command("add", "chain", std::move(object)));
    }

    base::Result<void> rules(const std::string& chain, const std::vector<ListedRule>& there,
                             const std::vector<Rule>& wanted) {
        const auto stay = rules_that_stay(there, wanted);
        std::size_t next = 0;
        for (std::size_t i = 0; i < there.size(); ++i) {
            if (const auto place = stay[i]) {
                for (; next < *place; ++next)
                    if (auto done = put_rule(chain, wanted[next], there[i].handle); !done) return done;
                ++next;
            } else {
                Json object = rule_in(chain);
                object["handle"] = there[i].handle;
                gone_rules_.push_back(command("delete", "rule", std::move(object)));
            }
        }
        for (; next < wanted.size(); ++next)
            if (auto done = put_rule(chain, wanted[next], std::nullopt); !done) return done;
        return {};
    }

    Json take() {
        Json all = std::move(table_commands_);
        for (Json* part : {&gone_rules_, &gone_, &chains_, &rules_})
            for (Json& one : *part) all.push_back(std::move(one));
        return all;
    }

 private:
    static Json named(const std::string& name) { return Json::object({{"family", "bridge"}, {"name", name}}); }
    [[nodiscard]] Json in_table(const std::string& name) const {
        return Json::object({{"family", "bridge"}, {"table", table_}, {"name", name}});
    }
    [[nodiscard]] Json rule_in(const std::string& chain) const {
        return Json::object({{"family", "bridge"}, {"table", table_}, {"chain", chain}});
    }

    base::Result<void> put_rule(const std::string& chain, const Rule& rule, std::optional<std::uint64_t> before) {
        auto body = parse_rule_text(rule.text);
        if (!body) return base::fail(std::move(body.error()));
        Json object = rule_in(chain);
        object["comment"] = rule.name;
        object["expr"] = *std::move(body);
        if (before) object["handle"] = *before;
        rules_.push_back(command(before ? "insert" : "add", "rule", std::move(object)));
        return {};
    }

    std::string table_;
    Json table_commands_ = Json::array();
    Json gone_rules_ = Json::array();
    Json gone_ = Json::array();
    Json chains_ = Json::array();
    Json rules_ = Json::array();
};

/// Whether adding the chain again changes it into what is wanted: only a policy can be changed in place.
bool adaptable(const ListedChain& there, const Chain& wanted) {
    if (!there.hook || !wanted.hook) return there.hook.has_value() == wanted.hook.has_value();
    return there.hook->type == wanted.hook->type && there.hook->hook == wanted.hook->hook &&
           there.hook->priority == wanted.hook->priority;
}

}  // namespace

base::Result<Json> changes(const std::string& table, const Table* there, const std::vector<Chain>& wanted,
                           Extent extent) {
    const bool whole = extent == Extent::whole_table;
    Batch batch(table);
    // Adding a table that is there clears its flags.
    if (there == nullptr || (whole && there->flagged)) batch.add_table();
    std::set<std::string_view> wanted_names;
    for (const Chain& chain : wanted) {
        wanted_names.insert(chain.name);
        const ListedChain* listed = there != nullptr ? there->chain(chain.name) : nullptr;
        const bool keep = listed != nullptr && adaptable(*listed, chain);
        if (listed != nullptr && !keep) batch.delete_chain(*listed);
        if (!keep || listed->hook != chain.hook) batch.add_chain(chain);
        if (whole && is_mode_chain(chain.name)) continue;
        if (auto done = batch.rules(chain.name, keep ? listed->rules : std::vector<ListedRule>(), chain.rules); !done)
            return base::fail(std::move(done.error()));
    }
    if (whole && there != nullptr) {
        for (const ListedChain& chain : there->chains)
            if (!wanted_names.contains(chain.name)) batch.delete_chain(chain);
        for (const NamedObject& object : there->objects) batch.delete_object(object);
    }
    return batch.take();
}

Json empty_chain(const std::string& table, std::string_view chain) {
    return Json::array({command("flush", "chain", {{"family", "bridge"}, {"table", table}, {"name", chain}})});
}

Json delete_table(const std::string& table) {
    return Json::array({command("delete", "table", {{"family", "bridge"}, {"name", table}})});
}

}  // namespace safe::nftables
