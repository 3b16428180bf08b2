// The quick search against the plain definition: every rule compared with every other.
#include "specs/shadows.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

namespace safe::specs {
namespace {

bool allows(const RuleSpec& wide, const Service& service) {
    return std::ranges::any_of(wide.allow, [&](const Located<Service>& other) {
        return other->protocol == service.protocol && other->first_port <= service.first_port &&
               service.last_port <= other->last_port;
    });
}

bool covers(const JudgedRule& wide, const JudgedRule& narrow) {
    return (*wide.rule->when == When::always || *wide.rule->when == *narrow.rule->when) &&
           lies_in(narrow.from.addresses, wide.from.addresses) && lies_in(narrow.to.addresses, wide.to.addresses) &&
           std::ranges::all_of(narrow.rule->allow,
                               [&](const Located<Service>& service) { return allows(*wide.rule, *service); });
}

bool takes_precedence(const std::vector<JudgedRule>& rules, std::size_t other, std::size_t i) {
    return other != i && covers(rules[other], rules[i]) && (other < i || !covers(rules[i], rules[other]));
}

/// Few ports and few networks, so that rules meet.
Service any_service() {
    using Protocol = Service::Protocol;
    const auto protocol = *rc::gen::element(Protocol::tcp, Protocol::udp, Protocol::icmp);
    if (protocol == Protocol::icmp) return {protocol, 0, 0};
    const auto first = *rc::gen::inRange<std::uint16_t>(1, 8);
    return {protocol, first, static_cast<std::uint16_t>(first + *rc::gen::inRange<std::uint16_t>(0, 4))};
}

Endpoint any_end() {
    const Cidr cidr{{*rc::gen::inRange<std::uint32_t>(0x0A000000, 0x0A000004)},
                    *rc::gen::element<std::uint8_t>(0, 8, 30, 31, 32)};
    return {Endpoint::Kind::address, nullptr, {cidr.network(), cidr.prefix}};
}

TEST(Shadows, AreThoseOfTheDefinition) {
    EXPECT_TRUE(rc::check("all pairs", [] {
        std::vector<RuleSpec> written(*rc::gen::inRange<std::size_t>(1, 12));
        std::vector<JudgedRule> rules;
        for (RuleSpec& rule : written) {
            const auto count = *rc::gen::inRange<std::size_t>(1, 4);
            for (std::size_t i = 0; i < count; ++i) rule.allow.push_back({any_service()});
            rule.when = {*rc::gen::element(When::open, When::locked, When::always)};
            rules.push_back({&rule, any_end(), any_end()});
        }
        Shadows shadows(rules);
        for (std::size_t i = 0; i < rules.size(); ++i) {
            std::vector<const RuleSpec*> expected;
            for (std::size_t other = 0; other < rules.size(); ++other) {
                if (takes_precedence(rules, other, i)) expected.push_back(rules[other].rule);
            }
            const RuleSpec* const found = shadows.over(i);
            RC_CLASSIFY(found != nullptr);
            RC_ASSERT((found == nullptr) == expected.empty());
            RC_ASSERT(found == nullptr || std::ranges::find(expected, found) != expected.end());
        }
        RC_ASSERT(!shadows.is_exhausted());
    }));
}

std::vector<RuleSpec> many(std::size_t count, std::vector<Service> (*services)(std::uint16_t)) {
    std::vector<RuleSpec> written(count);
    for (std::size_t i = 0; i < count; ++i) {
        for (const Service& service : services(static_cast<std::uint16_t>(i))) written[i].allow.push_back({service});
    }
    return written;
}

/// How many of so many rules between the same two ends are in another's shadow; the search may not give up.
std::size_t shadowed(const std::vector<RuleSpec>& written) {
    std::vector<JudgedRule> rules;
    const Endpoint end{Endpoint::Kind::address, nullptr, {{0x0A000001}, 32}};
    for (const RuleSpec& rule : written) rules.push_back({&rule, end, end});
    Shadows shadows(rules);
    std::size_t count = 0;
    for (std::size_t i = 0; i < rules.size(); ++i)
        if (shadows.over(i) != nullptr) ++count;
    EXPECT_FALSE(shadows.is_exhausted());
    return count;
}

TEST(Shadows, OfManyRulesAreAllFound) {
    using Protocol = Service::Protocol;
    constexpr std::size_t count = 30'000;
    EXPECT_EQ(shadowed(many(count,
                            [](std::uint16_t i) {
                                const auto own = static_cast<std::uint16_t>(i + 100);
                                return std::vector<Service>{{Protocol::tcp, own, own}};
                            })),
              0U);
    EXPECT_EQ(shadowed(many(count, [](std::uint16_t) { return std::vector<Service>{{Protocol::icmp, 0, 0}}; })),
              count - 1);
    EXPECT_EQ(shadowed(many(count,
                            [](std::uint16_t i) {
                                const auto own = static_cast<std::uint16_t>(i + 100);
                                return std::vector<Service>{
                                    {Protocol::icmp, 0, 0}, {Protocol::tcp, 22, 22}, {Protocol::tcp, own, own}};
                            })),
              0U);
    EXPECT_EQ(shadowed(many(count,
                            [](std::uint16_t i) {
                                const auto own = static_cast<std::uint16_t>(i + 1);
                                return std::vector<Service>{{Protocol::udp, own, 65535}};
                            })),
              count - 1);
}

}  // namespace
}  // namespace safe::specs
