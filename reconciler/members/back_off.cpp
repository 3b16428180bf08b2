#include "reconciler/members/back_off.hpp"

#include <algorithm>
#include <string>

namespace safe::members {

using std::chrono::seconds;

seconds delay_after(unsigned wrong) {
    constexpr unsigned forgiven = 3;
    constexpr seconds longest = std::chrono::minutes(15);
    if (wrong <= forgiven) return seconds(0);
    // Bounded before it is shifted.
    const unsigned doublings = std::min(wrong - forgiven, 16U);
    return std::min(seconds(1LL << doublings), longest);
}

base::Result<void> BackOff::may_try(std::string_view user, std::string_view source) { return ask(user, source, 0); }

base::Result<void> BackOff::admit(std::string_view user, std::string_view source) { return ask(user, source, 1); }

base::Result<void> BackOff::ask(std::string_view user, std::string_view source, unsigned count) {
    seconds left{};
    unsigned wrong = 0;
    const base::Result<void> kept = store_.change(user, source, [&](const Attempts& before) -> Attempts {
        // Asked here and not before: others may have tried while this one waited for the store.
        const auto now = now_();
        wrong = before.wrong;
        const seconds delay = delay_after(wrong);
        // The last one may lie a little ahead: the store keeps whole seconds.
        const auto since = std::max(now - before.last, Clock::result_type::duration::zero());
        if (since >= delay) return count == 0 ? before : Attempts{wrong + count, now};
        left = std::chrono::ceil<seconds>(delay - since);
        const bool set_back = before.last > now + seconds(1);
        return set_back ? Attempts{wrong, now} : before;
    });
    if (!kept || left == seconds(0)) return kept;
    return base::fail({"try a password of", std::string(user),
                       std::to_string(wrong) + " wrong ones were typed from " + std::string(source),
                       "try again in " + std::to_string(left.count()) + " s", base::Error::Kind::refused});
}

base::Result<void> BackOff::was_right(std::string_view user, std::string_view source) {
    return store_.change(user, source, [](const Attempts&) { return Attempts{}; });
}

base::Result<void> BackOff::was_not_tried(std::string_view user, std::string_view source) {
    return store_.change(user, source, [](const Attempts& before) {
        return Attempts{before.wrong == 0 ? 0 : before.wrong - 1, before.last};
    });
}

}  // namespace safe::members
