#include "reconciler/cli/people.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/password.hpp"
#include "reconciler/members/back_off.hpp"

namespace safe::cli {

using base::Error;
using base::Result;

Result<intent::Effective> effective_of(const specs::SafeSpec& spec, const driver::Places& places) {
    const Result<intent::Snapshot> intent = intent::Store::read(places.state_dir());
    if (!intent) return base::fail(intent.error());
    const Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    return intent::effective_mode(*spec.mode, std::chrono::seconds(spec.linger->seconds), *intent, *now);
}

Result<members::Attempts> KeptAttempts::load(std::string_view user, std::string_view source) {
    const Result<intent::WrongPasswords> kept = store_.wrong_passwords(user, source);
    if (!kept) return base::fail(kept.error());
    return members::Attempts{.wrong = kept->count, .last = kept->last};
}

Result<void> KeptAttempts::keep(std::string_view user, std::string_view source, const members::Attempts& attempts) {
    return store_.keep_wrong_passwords(user, source,
                                       {attempts.wrong, std::chrono::floor<std::chrono::seconds>(attempts.last)});
}

Result<People> People::at(const driver::Places& places) {
    if (Result<void> made = make_state_directory(places.state_dir()); !made) return base::fail(made.error());
    Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    Result<intent::Store> store = intent::Store::open(places.state_dir());
    if (!store) return base::fail(store.error());
    return People(std::move(*store), std::move(*now));
}

Result<void> People::prove(const driver::Setting& setting, const std::string& user, std::optional<int> password_fd,
                           const Builtin& builtin) {
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail({"prove the key of", user, std::move(cause), std::move(advice), Error::Kind::refused});
    };
    if (setting.spec.vault() == nullptr) return refuse("the spec has no vault to prove it against", "declare one");
    if (!builtin.prove_key)
        return refuse("this build of safectl is without the plugin luks", "use a build that has it");
    KeptAttempts attempts(store_);
    members::BackOff back_off(attempts, now_.wall);
    if (Result<void> admitted = back_off.admit(user, intent::local_source); !admitted) return admitted;
    const Result<base::Secret> password = read_password("password of " + user, password_fd);
    const Result<bool> right = password ? builtin.prove_key(setting, user, *password) : base::fail(password.error());
    if (!right) {
        if (Result<void> undone = back_off.was_not_tried(user, intent::local_source); !undone) return undone;
        return base::fail(right.error());
    }
    if (*right) return back_off.was_right(user, intent::local_source);
    return refuse("wrong password", "try again; each wrong one makes the next wait longer");
}

void print_done(const std::string& sentence, Format format) {
    if (format == Format::text)
        fmt::print("{}\n", sentence);
    else
        fmt::print("{}\n", nlohmann::ordered_json{{"version", 1}, {"kind", "done"}, {"done", sentence}}.dump(2));
}

}  // namespace safe::cli
