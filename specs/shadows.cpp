#include "specs/shadows.hpp"

#include <algorithm>
#include <tuple>

namespace safe::specs {
namespace {

/// The entry for the network of that prefix length around `inner`; nullptr when there is none.
template <class Value>
const Value* around(const std::map<Cidr, Value>& index, const Cidr& inner, std::uint8_t prefix) {
    if (prefix > inner.prefix) return nullptr;
    const Cidr outer{Cidr{inner.address, prefix}.network(), prefix};
    const auto found = index.find(outer);
    return found == index.end() ? nullptr : &found->second;
}

auto start_of(const Service& service) { return std::tuple(service.protocol, service.first_port); }

}  // namespace

Shadows::Shadows(const std::vector<JudgedRule>& rules) : rules_(rules) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const Cidr& from = rules[i].from.addresses;
        const Cidr& to = rules[i].to.addresses;
        Offers& offers = index_[Cidr{from.network(), from.prefix}][Cidr{to.network(), to.prefix}];
        for (const Located<Service>& service : rules[i].rule->allow) offers.push_back({.service = *service, .rule = i});
        from_prefixes_.insert(from.prefix);
        to_prefixes_.insert(to.prefix);
    }
    for (auto& [from, by_to] : index_) {
        for (auto& [to, offers] : by_to) arrange(offers);
    }
}

void Shadows::arrange(Offers& offers) {
    // Offers are visited from the back: of the same service, the earliest rule comes first then.
    std::ranges::sort(offers, [](const Offer& left, const Offer& right) {
        return std::tie(left.service, right.rule) < std::tie(right.service, left.rule);
    });
    for (std::size_t i = 0; i < offers.size(); ++i) {
        const bool continues = i > 0 && offers[i - 1].service.protocol == offers[i].service.protocol;
        const std::uint16_t last = offers[i].service.last_port;
        offers[i].furthest = continues ? std::max(last, offers[i - 1].furthest) : last;
    }
}

/// The service of the rule that the fewest offers begin with: the one to look for.
const Service& Shadows::rarest(const Offers& offers, const RuleSpec& rule) {
    const auto count = [&](const Located<Service>& service) {
        return std::ranges::equal_range(offers, start_of(*service), {},
                                        [](const Offer& offer) { return start_of(offer.service); })
            .size();
    };
    return std::ranges::min_element(rule.allow, {}, count)->value;
}

const RuleSpec* Shadows::over(std::size_t i) {
    for (const std::uint8_t from_prefix : from_prefixes_) {
        const auto* const around_from = around(index_, rules_[i].from.addresses, from_prefix);
        if (around_from == nullptr) continue;
        for (const std::uint8_t to_prefix : to_prefixes_) {
            const auto* const offers = around(*around_from, rules_[i].to.addresses, to_prefix);
            if (offers == nullptr) continue;
            if (const RuleSpec* const other = over(i, *offers)) return other;
        }
    }
    return nullptr;
}

const RuleSpec* Shadows::over(std::size_t i, const Offers& offers) {
    const Service& wanted = rarest(offers, *rules_[i].rule);
    auto offer = std::ranges::upper_bound(offers, start_of(wanted), {},
                                          [](const Offer& other) { return start_of(other.service); });
    while (offer != offers.begin()) {
        --offer;
        // Nothing further in front reaches the end of what is wanted.
        if (offer->service.protocol != wanted.protocol || offer->furthest < wanted.last_port) return nullptr;
        if (!may_compare()) return nullptr;
        const std::size_t other = offer->rule;
        if (offer->service.last_port < wanted.last_port || other == i || !covers(other, i)) continue;
        if (other < i || !covers(i, other)) return rules_[other].rule;
    }
    return nullptr;
}

bool Shadows::may_compare() {
    if (comparisons_left_ == 0) return false;
    --comparisons_left_;
    return true;
}

bool Shadows::covers(std::size_t outer, std::size_t inner) {
    const RuleSpec& wide = *rules_[outer].rule;
    const RuleSpec& narrow = *rules_[inner].rule;
    const bool holds_when = wide.when.value == When::always || wide.when.value == narrow.when.value;
    return may_compare() && holds_when && lies_in(rules_[inner].from.addresses, rules_[outer].from.addresses) &&
           lies_in(rules_[inner].to.addresses, rules_[outer].to.addresses) &&
           std::ranges::all_of(narrow.allow, [&](const Located<Service>& service) { return allows(wide, *service); });
}

bool Shadows::allows(const RuleSpec& wide, const Service& service) {
    return std::ranges::any_of(wide.allow, [&](const Located<Service>& other) {
        return may_compare() && other->protocol == service.protocol && other->first_port <= service.first_port &&
               service.last_port <= other->last_port;
    });
}

}  // namespace safe::specs
