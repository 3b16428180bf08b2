#include "reconciler/cli/wrong_passwords.hpp"

#include <chrono>

namespace safe::cli {

base::Result<members::Attempts> WrongPasswords::load(std::string_view user, std::string_view source) {
    const base::Result<intent::WrongPasswords> kept = store_.wrong_passwords(user, source);
    if (!kept) return base::fail(kept.error());
    return members::Attempts{.wrong = kept->count, .last = kept->last};
}

base::Result<void> WrongPasswords::keep(std::string_view user, std::string_view source,
                                        const members::Attempts& attempts) {
    // The store keeps whole seconds: rounded up, so that nobody waits less than the delay.
    return store_.keep_wrong_passwords(
        user, source, {.count = attempts.wrong, .last = std::chrono::ceil<std::chrono::seconds>(attempts.last)});
}

}  // namespace safe::cli
