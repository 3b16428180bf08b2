#include "specs/suggestion.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace safe::specs {
namespace {

constexpr std::size_t longest_word = 40;

}  // namespace

std::size_t slips(std::string_view left, std::string_view right) {
    std::vector<std::size_t> before_last(right.size() + 1);
    std::vector<std::size_t> last(right.size() + 1);
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(last.begin(), last.end(), 0);
    for (std::size_t i = 1; i <= left.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t wrong = left[i - 1] == right[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + wrong});
            const bool exchanged = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if (exchanged) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[right.size()];
}

std::string Suggester::suggest(std::string_view word, const std::vector<std::string_view>& known) {
    if (word.size() > longest_word) return {};
    std::size_t fewest = std::max<std::size_t>(1, word.size() / 3) + 1;
    std::string_view nearest;
    for (const std::string_view candidate : known) {
        const std::size_t longer = std::max(word.size(), candidate.size());
        const std::size_t shorter = std::min(word.size(), candidate.size());
        if (candidate.size() > longest_word || longer - shorter >= fewest) continue;
        if (comparisons_left_ == 0) break;
        --comparisons_left_;
        if (const std::size_t count = slips(word, candidate); count < fewest) {
            fewest = count;
            nearest = candidate;
        }
    }
    return nearest.empty() ? std::string{} : "did you mean " + std::string(nearest) + "?";
}

}  // namespace safe::specs
