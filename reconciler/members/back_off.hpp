// How long somebody who has typed wrong passwords must wait. The policy is pure; remembering is AttemptStore's.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

#include "reconciler/members/attempts.hpp"

namespace safe::members {

/// Nothing for the first three, because people mistype; then 2 s, doubled with each further one, 15 minutes at most.
[[nodiscard]] std::chrono::seconds delay_after(unsigned wrong);

/// Lets one password at a time be tried. Not thread-safe; the store is.
class BackOff {
 public:
    using Clock = std::function<std::chrono::system_clock::time_point()>;

    /// `store` outlives it.
    BackOff(AttemptStore& store, Clock now) : store_(store), now_(std::move(now)) {}

    /// Refused as admit() would; counts nothing.
    [[nodiscard]] base::Result<void> may_try(std::string_view user, std::string_view source);

    /// Asked before a password is tried: counts it as wrong, durably, so that being killed while it is tried forgives
    /// nothing. Refused, and not counted, while the pair must wait; the error says how long. A clock that was set back
    /// makes nobody wait longer than the delay itself: it begins anew at the first try after that.
    [[nodiscard]] base::Result<void> admit(std::string_view user, std::string_view source);

    /// It was the right one: all is forgiven.
    [[nodiscard]] base::Result<void> was_right(std::string_view user, std::string_view source);

    /// It could not be tried (out of memory, the header could not be read): takes back what admit() counted.
    [[nodiscard]] base::Result<void> was_not_tried(std::string_view user, std::string_view source);

 private:
    [[nodiscard]] base::Result<void> ask(std::string_view user, std::string_view source, unsigned count);

    AttemptStore& store_;
    Clock now_;
};

}  // namespace safe::members
