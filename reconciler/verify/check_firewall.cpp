// Firewall: the chains of the safe's table. Base stands in every mode and drops what nothing allowed; the chains of a
// mode have rules in that mode alone; nothing lets traffic of a sleeping VM through.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "reconciler/verify/firewall_shapes.hpp"
#include "reconciler/verify/scene.hpp"
#include "specs/identity.hpp"

namespace safe::verify {
namespace {

constexpr std::array<std::string_view, 4> hooks{"prerouting", "forward", "input", "output"};
/// Where each VM's own frames are told from forged ones; what it accepts goes on to the other hooks.
constexpr std::string_view sources = "sources";
constexpr std::string_view implied = "implied/";

constexpr std::array<std::string_view, 3> modes{"storage", "open", "locked"};

std::string name_of(const FirewallRule& rule) { return rule.comment.empty() ? "without a name" : rule.comment; }

bool drops_everything(const FirewallChain* chain) {
    return chain != nullptr && !chain->rules.empty() && chain->rules.back().drops && !chain->rules.back().conditional;
}

class FirewallJudge {
 public:
    FirewallJudge(const Scene& scene, const FirewallTable& table, std::string name, std::string bridge, Lines& lines)
        : scene_(scene), table_(table), name_(std::move(name)), bridge_(std::move(bridge)), lines_(lines) {}

    void judge() {
        if (table_.flagged)
            lines_.fault("nft list tables bridge", "table " + name_ + " is flagged dormant: nothing of it is in effect",
                         "safectl apply");
        judge_base();
        judge_mode("open", model::Mode::open);
        judge_mode("storage", model::Mode::open);
        judge_mode("locked", model::Mode::locked);
        if (!scene_.open()) judge_sleepers();
    }

 private:
    [[nodiscard]] std::string listing(std::string_view chain) const {
        return fmt::format("nft list chain bridge {} {}", name_, chain);
    }

    [[nodiscard]] const FirewallChain* chain(std::string_view name) const {
        const auto found = table_.chains.find(std::string(name));
        return found == table_.chains.end() ? nullptr : &found->second;
    }

    void fault(std::string_view chain, std::string found) {
        lines_.fault(listing(chain), std::move(found), "safectl apply");
    }

    void judge_base() {
        const FirewallChain* base = chain("base");
        if (base == nullptr || base->rules.empty()) return fault("base", "there is no base: nothing is held back");
        if (!drops_everything(base)) return fault("base", "its last rule does not drop everything");
        if (std::ranges::any_of(base->rules,
                                [](const FirewallRule& rule) { return rule.accepts && !rule.conditional; }))
            return fault("base", "a rule accepts everything");
        for (const std::string_view hook : hooks) {
            const std::string_view target = hook == "prerouting" ? sources : "base";
            if (!enters(hook, target))
                return fault(hook, fmt::format("frames of {} do not enter {} by the hook {}", bridge_, target, hook));
            if (!lets_no_more_through(hook, {target}, false)) return;
        }
        if (!drops_everything(chain(sources)))
            return fault(sources, "its last rule does not drop everything: VMs may send under any address");
        if (!lets_no_more_through(sources, {}, false)) return;
        // A goto would not come back to the drop at the end.
        if (!lets_no_more_through("base", {modes.begin(), modes.end()}, true)) return;
        for (const std::string_view mode : modes)
            if (!asks_first(*base, mode))
                return fault("base", fmt::format("a rule may let frames through before {} was asked: no rule that "
                                                 "always jumps there stands before it",
                                                 mode));
        lines_.ok(listing("base"), fmt::format("stands, drops by default, {} rules", base->rules.size()));
    }

    /// By one rule that asks for the bridge alone.
    [[nodiscard]] bool enters(std::string_view hook, std::string_view target) const {
        const FirewallChain* entry = chain(hook);
        const std::string whole = (hook == "output" ? "meta obrname " : "meta ibrname ") + bridge_;
        return entry != nullptr && entry->hook == hook &&
               std::ranges::any_of(entry->rules, [&](const FirewallRule& rule) {
                   return rule.target == target && !rule.other && rule.tests == std::set<std::string>{whole};
               });
    }

    /// What stands in a chain besides its drops goes on to where it should, or is what its name says.
    bool lets_no_more_through(std::string_view name, const std::set<std::string_view>& targets, bool must_come_back) {
        for (const FirewallRule& rule : chain(name)->rules) {
            const bool goes_on =
                targets.contains(rule.target) && !rule.accepts && !rule.other && (rule.comes_back || !must_come_back);
            if (!rule.passes() || goes_on || shapes_.allow(name, rule)) continue;
            fault(name, "a rule lets through more than the spec allows: " + name_of(rule));
            return false;
        }
        return true;
    }

    /// Base goes through the chain of a mode before it accepts anything but ARP, so that what the mode forbids is
    /// forbidden to rules for every mode too.
    [[nodiscard]] static bool asks_first(const FirewallChain& base, std::string_view mode) {
        const auto jumps = [&](const FirewallRule& rule) { return rule.target == mode && !rule.conditional; };
        const auto decides = std::ranges::find_if(base.rules, [&](const FirewallRule& rule) {
            return jumps(rule) || (rule.accepts && rule.comment != "implied/arp");
        });
        return decides != base.rules.end() && jumps(*decides);
    }

    /// The chain drops what comes from users and what goes to them before any of it may leave by another rule.
    [[nodiscard]] bool cuts_users_off(const FirewallChain& locked) const {
        return std::ranges::all_of(shapes_.cut_off(), [&](const FirewallShapes::Tests& whole) {
            const auto decides = std::ranges::find_if(locked.rules, [&](const FirewallRule& rule) {
                return rule.passes() || (rule.drops && rule.tests == whole);
            });
            return decides != locked.rules.end() && !decides->passes();
        });
    }

    /// Names of declared rules in a chain; what is neither declared nor implied is a fault.
    void judge_mode(std::string_view name, model::Mode mode) {
        const FirewallChain* found = chain(name);
        const std::size_t count = found == nullptr ? 0 : found->rules.size();
        if (scene_.mode != mode) {
            if (count > 0)
                return fault(name, fmt::format("{} rules where there may be none while {}: {}", count,
                                               model::to_text(scene_.mode), found->rules.front().comment));
            return lines_.ok(listing(name), "no rules");
        }
        const std::set<std::string> wanted = declared(name);
        std::set<std::string> missing = wanted;
        std::set<std::string> seen;
        for (const FirewallRule& rule : found == nullptr ? std::vector<FirewallRule>() : found->rules) {
            missing.erase(declared_name(rule));
            if (!wanted.contains(declared_name(rule)) && !is_implied(name, rule))
                return fault(name, "a rule that nobody declared: " + name_of(rule));
            // Names are unique in a chain: a second one hides behind the first.
            if (!seen.insert(rule.comment).second) return fault(name, "two rules with one name: " + rule.comment);
            if (rule.passes() && !shapes_.allow(name, rule))
                return fault(name, "a rule lets through more than the spec allows: " + name_of(rule));
        }
        if (!missing.empty()) return fault(name, "a declared rule is missing: " + *missing.begin());
        if (count == 0 && must_have_rules(name)) return fault(name, "no rules");
        if (mode == model::Mode::locked && !cuts_users_off(*found))
            return fault(name,
                         "users are not cut off: no rule drops all that comes from them, or all that goes to "
                         "them, before another lets it through");
        lines_.ok(listing(name), fmt::format("{} rules, {} declared ones among them", count, wanted.size()));
    }

    [[nodiscard]] std::set<std::string> declared(std::string_view chain) const {
        std::set<std::string> names = shapes_.declared(chain);
        if (chain == "storage")
            for (const specs::VmSpec& vm : scene_.spec.vms)
                if (vm.address && !vm.mounts.empty()) names.insert("implied/nfs/" + vm.name);
        return names;
    }

    /// What follows from the spec without being written: the rule that counts, logs and the directory for VMs that it
    /// declares, and that users are cut off while locked.
    [[nodiscard]] bool is_implied(std::string_view chain, const FirewallRule& rule) const {
        const std::string name = declared_name(rule);
        if (!name.starts_with(implied)) return false;
        const std::string_view rest = std::string_view(name).substr(implied.size());
        if (rest == chain || (chain == "locked" && rest.starts_with("locked-"))) return true;
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos || chain != "open") return false;
        const std::string_view whose = rest.substr(slash + 1);
        const bool known = rest.substr(0, slash) == "logs" || rest.substr(0, slash) == "directory";
        return known && (whose == "@hypervisor" || scene_.spec.vm(whose) != nullptr);
    }

    /// Each mode's chain has at least the rule that counts; storage has rules once a VM mounts something.
    [[nodiscard]] bool must_have_rules(std::string_view chain) const {
        return chain != "storage" ||
               std::ranges::any_of(scene_.spec.vms, [](const specs::VmSpec& vm) { return !vm.mounts.empty(); });
    }

    void judge_sleepers() {
        for (const specs::VmSpec& vm : scene_.spec.vms) {
            if (*vm.role != specs::Role::workspace || !vm.address) continue;
            const std::array<std::string, 3> names{specs::tap_of(*scene_.spec.safe, vm.name), to_text(**vm.address),
                                                   specs::mac_of(*scene_.spec.safe, vm.name)};
            for (const auto& [chain_name, chain] : table_.chains) {
                if (chain_name == sources) continue;
                for (const FirewallRule& rule : chain.rules) {
                    const auto mentioned = [&](const std::string& name) { return rule.mentions.contains(name); };
                    if (rule.accepts && std::ranges::any_of(names, mentioned))
                        fault(chain_name, fmt::format("a rule lets traffic of {} through: {}", vm.name, rule.comment));
                }
            }
        }
    }

    const Scene& scene_;
    const FirewallTable& table_;
    const FirewallShapes shapes_{scene_.spec};
    std::string name_;
    std::string bridge_;
    Lines& lines_;
};

}  // namespace

std::vector<Finding> check_firewall(const Scene& scene) {
    Lines lines("firewall");
    if (!scene.spec.network) return lines.take();
    const std::string name = "safe-" + *scene.spec.safe;
    const std::string everywhere = "nft list table bridge " + name;
    const Seen<FirewallTable> table = read_firewall(scene.system, name);
    if (!table)
        lines.unknown(everywhere, table.error());
    else if (!table.there())
        lines.fault(everywhere, "there is no such table: nothing is held back", "safectl apply");
    else
        FirewallJudge(scene, table.value(), name, *scene.spec.network->bridge, lines).judge();
    return lines.take();
}

}  // namespace safe::verify
