// Which rules say nothing that another does not. Rules are looked up by the networks around each other's ends, and
// among those by a service that the other must offer too, so that the work stays near linear in rules and services;
// what a hostile spec adds to it is bounded. Lives for one validation; points into the rules.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "specs/spec.hpp"

namespace safe::specs {

/// A rule and what its two ends stand for.
struct JudgedRule {
    const RuleSpec* rule = nullptr;
    Endpoint from;
    Endpoint to;
};

/// Whether all of `inner` is part of `outer`.
[[nodiscard]] inline bool lies_in(const Cidr& inner, const Cidr& outer) {
    return inner.prefix >= outer.prefix && outer.contains(inner.address);
}

class Shadows {
 public:
    explicit Shadows(const std::vector<JudgedRule>& rules);

    /// A rule that covers rule `i`; of two that say the same, the earlier covers the later. nullptr when none does, or
    /// when the work is used up.
    [[nodiscard]] const RuleSpec* over(std::size_t i);

    [[nodiscard]] bool is_exhausted() const { return comparisons_left_ == 0; }

 private:
    /// One service that one rule allows.
    struct Offer {
        Service service;
        std::size_t rule = 0;
        std::uint16_t furthest = 0;  // the last port that this or an offer before it reaches, of the same protocol
    };
    using Offers = std::vector<Offer>;  // by protocol and first port

    static void arrange(Offers& offers);
    [[nodiscard]] static const Service& rarest(const Offers& offers, const RuleSpec& rule);
    [[nodiscard]] const RuleSpec* over(std::size_t i, const Offers& offers);
    [[nodiscard]] bool covers(std::size_t outer, std::size_t inner);
    [[nodiscard]] bool allows(const RuleSpec& wide, const Service& service);
    [[nodiscard]] bool may_compare();

    const std::vector<JudgedRule>& rules_;
    std::map<Cidr, std::map<Cidr, Offers>> index_;  // by from, then by to
    std::set<std::uint8_t> from_prefixes_;
    std::set<std::uint8_t> to_prefixes_;
    std::size_t comparisons_left_ = 5'000'000;
};

}  // namespace safe::specs
