#include "reconciler/planning/difference.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace safe::planning {
namespace {

using model::Attributes;
using model::Branch;
using model::Change;
using model::Value;

Branch rules(const std::vector<std::string>& names) {
    Branch list(Branch::Order::significant);
    for (const std::string& name : names) list.set(name, "accept " + name);
    return list;
}

Attributes with_rules(const std::vector<std::string>& names) { return Attributes().set("rules", rules(names)); }

std::vector<std::string> summary(const std::vector<Change>& changes) {
    std::vector<std::string> lines;
    for (const Change& change : changes) {
        static constexpr std::array<std::string_view, 4> words{"add", "remove", "change", "move"};
        lines.push_back(std::string(words[static_cast<std::size_t>(change.what)]) + " " + model::to_text(change.path));
    }
    return lines;
}

TEST(Difference, EqualTreesHaveNone) {
    const Attributes tree = with_rules({"a", "b"}).set("memory", model::Bytes{1024}).set("cpus", 2);
    EXPECT_TRUE(difference(tree, tree).empty());
}

TEST(Difference, SaysBeforeAndAfterOfAScalar) {
    const auto changes = difference(Attributes().set("cpus", 2), Attributes().set("cpus", 4));
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].before, Value(2));
    EXPECT_EQ(changes[0].after, Value(4));
}

TEST(Difference, TypesAreNotMixedUp) {
    EXPECT_EQ(summary(difference(Attributes().set("x", 1), Attributes().set("x", model::Bytes{1}))),
              std::vector<std::string>{"change x"});
    EXPECT_EQ(summary(difference(Attributes().set("x", "1"), Attributes().set("x", 1))),
              std::vector<std::string>{"change x"});
}

TEST(Difference, TheFirstOfTwoHundredRulesGoneIsOneLine) {
    std::vector<std::string> names;
    for (int i = 0; i < 200; ++i) names.push_back("rule-" + std::to_string(i));
    const std::vector<std::string> without_first(names.begin() + 1, names.end());
    EXPECT_EQ(summary(difference(with_rules(names), with_rules(without_first))),
              std::vector<std::string>{"remove rules.rule-0"});
    EXPECT_EQ(summary(difference(with_rules(without_first), with_rules(names))),
              std::vector<std::string>{"add rules.rule-0"});
}

TEST(Difference, OneRuleMovedIsOneMove) {
    EXPECT_EQ(summary(difference(with_rules({"a", "b", "c", "d", "e"}), with_rules({"e", "a", "b", "c", "d"}))),
              std::vector<std::string>{"move rules.e"});
}

TEST(Difference, OrderDoesNotMatterWhereItIsNotSignificant) {
    EXPECT_TRUE(difference(Attributes().set("a", 1).set("b", 2), Attributes().set("b", 2).set("a", 1)).empty());
}

/// Carries changes of one flat ordered list out, the way an executor of rules would: take away what goes or moves, then
/// put what comes or moves at its place.
std::vector<std::string> carry_out(std::vector<std::string> list, const std::vector<Change>& changes,
                                   const std::vector<std::string>& wanted) {
    for (const Change& change : changes)
        if (change.what == Change::What::remove || change.what == Change::What::move)
            std::erase(list, change.path.back());
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (i >= list.size() || list[i] != wanted[i]) {
            const bool announced = std::ranges::any_of(changes, [&](const Change& change) {
                return change.path.back() == wanted[i] &&
                       (change.what == Change::What::add || change.what == Change::What::move);
            });
            if (!announced) return {"a place changed that no change speaks of: " + wanted[i]};
            list.insert(list.begin() + static_cast<std::ptrdiff_t>(i), wanted[i]);
        }
    return list;
}

RC_GTEST_PROP(DifferenceProperty, CarriedOutItGivesWhatIsWanted, ()) {
    const auto name = rc::gen::map(rc::gen::inRange(0, 400), [](int i) { return "r" + std::to_string(i); });
    const auto names = rc::gen::unique<std::vector<std::string>>(name);
    const std::vector<std::string> before = *names;
    const std::vector<std::string> after = *names;
    const auto changes = difference(with_rules(before), with_rules(after));
    RC_ASSERT(carry_out(before, changes, after) == after);
    RC_ASSERT(changes.empty() == (before == after));
}

RC_GTEST_PROP(DifferenceProperty, MovesAreAsFewAsPossible, ()) {
    const std::vector<int> order = *rc::gen::resize(8, rc::gen::unique<std::vector<int>>(rc::gen::inRange(0, 1000)));
    std::vector<std::string> after;
    for (const int i : order) after.push_back(std::to_string(i));
    std::vector<std::string> before = after;
    std::ranges::sort(before);
    // The longest increasing run by trying every subset: slow, and plainly right.
    std::size_t longest = 0;
    for (unsigned subset = 0; subset < (1U << after.size()); ++subset) {
        std::vector<std::string> kept;
        for (std::size_t i = 0; i < after.size(); ++i)
            if ((subset >> i & 1U) != 0) kept.push_back(after[i]);
        if (std::ranges::is_sorted(kept)) longest = std::max(longest, kept.size());
    }
    RC_ASSERT(difference(with_rules(before), with_rules(after)).size() == after.size() - longest);
}

}  // namespace
}  // namespace safe::planning
