#include "reconciler/planning/difference.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace safe::planning {
namespace {

using model::Branch;
using model::Change;
using model::Entry;
using model::Path;
using model::Value;

using Positions = std::unordered_map<std::string_view, std::size_t>;

Positions positions_of(const Branch& branch) {
    Positions positions;
    for (std::size_t i = 0; i < branch.entries().size(); ++i) positions.emplace(branch.entries()[i].key, i);
    return positions;
}

/// For the positions that the kept entries had, in their new order: which of them lie on a longest increasing
/// subsequence (patience sorting, Fredman 1975). Those may stay; every other one has to move.
std::vector<bool> stays(const std::vector<std::size_t>& old_positions) {
    std::vector<std::size_t> tails;  // tails[k]: index of the smallest end of an increasing run of length k + 1
    std::vector<std::size_t> previous(old_positions.size());
    for (std::size_t i = 0; i < old_positions.size(); ++i) {
        const auto place = std::ranges::lower_bound(tails, old_positions[i], {},
                                                    [&](std::size_t tail) { return old_positions[tail]; });
        const auto length = static_cast<std::size_t>(place - tails.begin());
        previous[i] = length == 0 ? i : tails[length - 1];
        if (place == tails.end())
            tails.push_back(i);
        else
            *place = i;
    }
    std::vector<bool> stay(old_positions.size(), false);
    if (tails.empty()) return stay;
    std::size_t at = tails.back();
    for (std::size_t left = tails.size(); left > 0; --left) {
        stay[at] = true;
        at = previous[at];
    }
    return stay;
}

class Comparison {
 public:
    std::vector<Change> take() { return std::move(changes_); }

    void compare(const Branch& observed, const Branch& desired) {
        if (observed == desired) return;  // nearly always
        const Positions before = positions_of(observed);
        const Positions after = positions_of(desired);
        std::vector<std::size_t> kept_before;  // positions in `observed`, in the order of `desired`
        std::vector<std::size_t> kept_after;
        for (std::size_t i = 0; i < desired.entries().size(); ++i) {
            const Entry& wanted = desired.entries()[i];
            const auto found = before.find(wanted.key);
            if (found == before.end()) {
                emit(wanted.key, Change::What::add, std::nullopt, wanted.value);
                continue;
            }
            kept_before.push_back(found->second);
            kept_after.push_back(i);
            compare_entry(observed.entries()[found->second], wanted);
        }
        for (const Entry& there : observed.entries())
            if (!after.contains(there.key)) emit(there.key, Change::What::remove, there.value, std::nullopt);
        if (desired.ordered()) compare_places(desired, kept_before, kept_after);
    }

 private:
    void compare_entry(const Entry& there, const Entry& wanted) {
        const Branch* there_branch = there.value.branch();
        const Branch* wanted_branch = wanted.value.branch();
        if (there_branch != nullptr && wanted_branch != nullptr) {
            path_.push_back(wanted.key);
            compare(*there_branch, *wanted_branch);
            path_.pop_back();
        } else if (there.value != wanted.value) {
            emit(wanted.key, Change::What::change, there.value, wanted.value);
        }
    }

    void compare_places(const Branch& desired, const std::vector<std::size_t>& kept_before,
                        const std::vector<std::size_t>& kept_after) {
        const std::vector<bool> stay = stays(kept_before);
        for (std::size_t i = 0; i < stay.size(); ++i)
            if (!stay[i])
                emit(desired.entries()[kept_after[i]].key, Change::What::move, Value(kept_before[i]),
                     Value(kept_after[i]));
    }

    void emit(const std::string& key, Change::What what, std::optional<Value> before, std::optional<Value> after) {
        Path path = path_;
        path.push_back(key);
        changes_.push_back({std::move(path), what, std::move(before), std::move(after)});
    }

    Path path_;
    std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> difference(const model::Attributes& observed, const model::Attributes& desired) {
    Comparison comparison;
    comparison.compare(observed, desired);
    return comparison.take();
}

}  // namespace safe::planning
