#include "reconciler/cli/wrong_passwords.hpp"

#include <chrono>

namespace safe::cli {

base::Result<void> WrongPasswords::change(std::string_view user, std::string_view source, const Change& change) {
    return store_.change_wrong_passwords(user, source, [&](const intent::WrongPasswords& kept) {
        const members::Attempts next = change({.wrong = kept.count, .last = kept.last});
        // The store keeps whole seconds: rounded up, so that nobody waits less than the delay.
        return intent::WrongPasswords{.count = next.wrong, .last = std::chrono::ceil<std::chrono::seconds>(next.last)};
    });
}

}  // namespace safe::cli
