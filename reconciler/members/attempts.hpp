// AttemptStore: where wrong passwords are remembered, per user and source, across restarts and power cuts. Implemented
// over the intent store; reconciler/members/back_off.hpp decides what follows from it. One process writes at a time.
#pragma once

#include <chrono>
#include <string_view>

#include "reconciler/base/result.hpp"

namespace safe::members {

/// The wrong passwords since the last right one.
struct Attempts {
    unsigned wrong = 0;
    std::chrono::system_clock::time_point last = {};  // when the last of them was tried; meaningless while wrong is 0
    bool operator==(const Attempts&) const = default;
};

class AttemptStore {
 public:
    AttemptStore() = default;
    AttemptStore(const AttemptStore&) = delete;
    AttemptStore& operator=(const AttemptStore&) = delete;
    AttemptStore(AttemptStore&&) = delete;
    AttemptStore& operator=(AttemptStore&&) = delete;
    virtual ~AttemptStore() = default;

    /// Zero attempts for a pair that was never kept. `source` is where the password was typed: an address as the
    /// gateway reports it, or "local".
    [[nodiscard]] virtual base::Result<Attempts> load(std::string_view user, std::string_view source) = 0;

    /// Durable when it returns. `wrong` of 0 forgets the pair.
    [[nodiscard]] virtual base::Result<void> keep(std::string_view user, std::string_view source,
                                                  const Attempts& attempts) = 0;
};

}  // namespace safe::members
