// The rules: what they name, what they must not reach, which can never match and which say nothing new.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "specs/judgement.hpp"
#include "specs/shadows.hpp"

namespace safe::specs {
namespace {

constexpr std::uint16_t nfs_port = 2049;  // RFC 7530 section 3.1

bool lies_in(const Cidr& inner, const std::optional<Located<Cidr>>& outer) { return outer && lies_in(inner, **outer); }

bool has_nfs(const Service& service) { return service.first_port <= nfs_port && nfs_port <= service.last_port; }

std::string_view outside_open(When when) { return when == When::locked ? "locked" : "closed or locked"; }

/// What only runs, or is only served, while the safe is open must not be reached in another state.
void judge_reach(Judgement& judgement, const JudgedRule& judged) {
    const RuleSpec& rule = *judged.rule;
    if (rule.when.value == When::open) return;
    const Position& at = rule.when.at;
    const std::string help = "write when: open";
    if (const VmSpec* const reached = judgement.workspace_in(judged.to.addresses)) {
        judgement.diagnostics.error(at,
                                    fmt::format("{} would reach {}, a workspace VM, while the safe is {}", rule.name,
                                                reached->name, outside_open(*rule.when)),
                                    help);
    }
    const VmSpec* const sender =
        judged.from.addresses.prefix == 32 ? judgement.workspace_in(judged.from.addresses) : nullptr;
    if (sender != nullptr) {
        judgement.diagnostics.error(
            at,
            fmt::format("{} lets {} send, a workspace VM, which does not run while the safe is {}", rule.name,
                        sender->name, outside_open(*rule.when)),
            help);
    }
}

/// Who may reach NFS follows from what each VM mounts, and comes and goes with the exports; no rule adds to it.
void judge_nfs(Judgement& judgement, const NetworkSpec& network, const JudgedRule& judged) {
    if (!judgement.is_sound("network.address") || !judged.to.addresses.contains(network.address->address)) return;
    for (const Located<Service>& service : judged.rule->allow) {
        if (!has_nfs(*service)) continue;
        judgement.diagnostics.error(
            service.at, fmt::format("{} would reach the hypervisor's NFS port, {}", judged.rule->name, nfs_port),
            "leave it out; a VM reaches it for what its mounts say");
    }
}

/// The gateway and everyone who comes through it.
bool is_at_gateway(const Judgement& judgement, const NetworkSpec& network, const Endpoint& endpoint) {
    if (lies_in(endpoint.addresses, network.users) || lies_in(endpoint.addresses, network.super_users)) return true;
    const VmSpec* const gateway = network.gateway ? judgement.vm(**network.gateway) : nullptr;
    return gateway != nullptr && gateway->address && endpoint.addresses == Cidr{gateway->address->value, 32};
}

bool is_outside(const NetworkSpec& network, const Endpoint& endpoint) {
    const auto touches = [&](const std::optional<Located<Cidr>>& zone) {
        return zone && (*zone)->overlaps(endpoint.addresses);
    };
    return !network.address->overlaps(endpoint.addresses) && !touches(network.users) && !touches(network.super_users);
}

/// A part of the safe's network in which nobody lives.
bool is_deserted(const Judgement& judgement, const Cidr& network, const Endpoint& endpoint) {
    return lies_in(endpoint.addresses, network) && !endpoint.addresses.contains(network.address) &&
           judgement.vm_in(endpoint.addresses) == nullptr;
}

/// Why no packet can ever match; "" when one can.
std::string why_never(const Judgement& judgement, const NetworkSpec& network, const JudgedRule& judged) {
    const RuleSpec& rule = *judged.rule;
    const bool is_one_host = judged.from.addresses.prefix == 32 && judged.from.addresses == judged.to.addresses;
    if (is_one_host) return "nobody reaches itself over the bridge";
    if (is_at_gateway(judgement, network, judged.from) && is_at_gateway(judgement, network, judged.to)) {
        return "what is sent between the gateway and those behind it never crosses the bridge";
    }
    const bool is_of_users =
        lies_in(judged.from.addresses, network.users) || lies_in(judged.to.addresses, network.users);
    if (rule.when.value == When::locked && is_of_users) return "users are cut off while the safe is locked";
    for (const auto& [endpoint, word] : {std::pair(&judged.from, &rule.from), std::pair(&judged.to, &rule.to)}) {
        if (is_deserted(judgement, *network.address, *endpoint))
            return fmt::format("{} belongs to nobody in the safe's network", **word);
    }
    if (is_outside(network, judged.from) && is_outside(network, judged.to)) {
        return "neither end of it lies in the safe";
    }
    return {};
}

void judge_shadows(Judgement& judgement, const std::vector<JudgedRule>& rules) {
    Shadows shadows(rules);
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const RuleSpec& rule = *rules[i].rule;
        if (const RuleSpec* const other = shadows.over(i)) {
            judgement.diagnostics.warning(
                rule.at, fmt::format("{} allows nothing that {} does not allow", rule.name, other->name),
                "that is at " + to_text(other->at));
        }
        if (shadows.is_exhausted()) {
            judgement.diagnostics.warning(rule.at, "from here on, rules that another shadows are not looked for",
                                          "there are too many to compare");
            return;
        }
    }
}

/// The rules whose two ends are known, and known to lie somewhere; what an end does not name is reported.
std::vector<JudgedRule> resolve_rules(Judgement& judgement) {
    const auto end_of = [&](const RuleSpec& rule, std::string_view key, const Located<std::string>& word) {
        return judgement.is_sound(rule, key) ? judgement.require_endpoint(word) : std::nullopt;
    };
    const auto has_place = [](const Endpoint& end) { return end.kind != Endpoint::Kind::vm || end.vm->address; };
    std::vector<JudgedRule> rules;
    for (const RuleSpec& rule : judgement.spec.firewall) {
        const auto from = end_of(rule, "from", rule.from);
        const auto to = end_of(rule, "to", rule.to);
        const bool is_whole = judgement.is_sound(rule, "allow") && judgement.is_sound(rule, "when");
        if (is_whole && from && to && has_place(*from) && has_place(*to)) rules.push_back({&rule, *from, *to});
    }
    return rules;
}

}  // namespace

void judge_firewall(Judgement& judgement) {
    const SafeSpec& spec = judgement.spec;
    const std::vector<JudgedRule> rules = resolve_rules(judgement);
    if (!spec.network) {
        if (judgement.is_sound("network") && !spec.firewall.empty()) {
            judgement.diagnostics.error(spec.firewall.front().at,
                                        "there are firewall rules, but the safe has no network",
                                        "write a network, or remove the rules");
        }
        return;
    }
    const bool is_place_known = judgement.is_sound("network.address");
    std::vector<JudgedRule> matching;
    for (const JudgedRule& judged : rules) {
        judge_reach(judgement, judged);
        judge_nfs(judgement, *spec.network, judged);
        const std::string reason = is_place_known ? why_never(judgement, *spec.network, judged) : std::string{};
        if (reason.empty()) {
            matching.push_back(judged);
        } else {
            judgement.diagnostics.warning(judged.rule->at,
                                          fmt::format("{} can never match: {}", judged.rule->name, reason));
        }
    }
    judge_shadows(judgement, matching);
}

}  // namespace safe::specs
