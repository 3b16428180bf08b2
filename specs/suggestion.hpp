// "did you mean desktop?": the known word nearest to a mistyped one. Bounded work, however hostile the words are.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace safe::specs {

class Suggester {
 public:
    /// "did you mean WORD?" for the known word that the fewest slips away from `word` (a letter too many, missing,
    /// wrong, or two exchanged; at most a third of its letters); "" when none is near, or when the work is used up.
    [[nodiscard]] std::string suggest(std::string_view word, const std::vector<std::string_view>& known);

 private:
    std::size_t comparisons_left_ = 100'000;
};

/// The number of such slips (optimal string alignment distance).
[[nodiscard]] std::size_t slips(std::string_view left, std::string_view right);

}  // namespace safe::specs
