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

base::Result<void> BackOff::admit(std::string_view user, std::string_view source) {
    const base::Result<Attempts> attempts = store_.load(user, source);
    if (!attempts) return base::fail(attempts.error());
    const seconds delay = delay_after(attempts->wrong);
    const auto since = now_ - attempts->last;
    // The last one may lie a little ahead: the store keeps whole seconds.
    if (delay > seconds(0) && since < delay) {
        const seconds left = std::min(delay, std::chrono::ceil<seconds>(delay - since));
        return base::fail({"try a password of", std::string(user),
                           std::to_string(attempts->wrong) + " wrong ones were typed from " + std::string(source),
                           "try again in " + std::to_string(left.count()) + " s", base::Error::Kind::refused});
    }
    return store_.keep(user, source, {attempts->wrong + 1, now_});
}

base::Result<void> BackOff::was_right(std::string_view user, std::string_view source) {
    return store_.keep(user, source, {});
}

base::Result<void> BackOff::was_not_tried(std::string_view user, std::string_view source) {
    base::Result<Attempts> attempts = store_.load(user, source);
    if (!attempts) return base::fail(attempts.error());
    if (attempts->wrong == 0) return {};
    return store_.keep(user, source, {attempts->wrong - 1, attempts->last});
}

}  // namespace safe::members
