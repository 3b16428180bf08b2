// AttemptStore: where wrong passwords are remembered, per user and source, across restarts and power cuts. Implemented
// over the intent store; reconciler/members/back_off.hpp decides what follows from it. Several processes may write.
#pragma once

#include <chrono>
#include <functional>
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

    /// Zero attempts for a pair that was never kept; zero wrong ones of the answer forget the pair.
    using Change = std::function<Attempts(const Attempts& kept)>;

    /// Reads, changes and keeps as one: nobody comes between, from another process neither, so that of several tries at
    /// once each sees those before it. Durable when it returns. `source` is where the password was typed: an address as
    /// the gateway reports it, or "local".
    [[nodiscard]] virtual base::Result<void> change(std::string_view user, std::string_view source,
                                                    const Change& change) = 0;
};

}  // namespace safe::members
