// safectl unlock: a super-user lifts the lock of safectl lock, with their key: being root is not being a member. The
// safe then converges to closed, and is open for logins a few minutes later. A lock in the file is lifted by changing
// the file.
#include <fmt/format.h>

#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/people.hpp"
#include "reconciler/intent/requests.hpp"

namespace safe::cli {
namespace {

using base::Result;

struct UnlockOptions {
    SpecOptions spec;
    std::string user;
    std::optional<int> password_fd;
};

void declare(CLI::App& app, UnlockOptions& options) {
    add_safe(app, options.spec);
    app.add_option("--user", options.user, "a super-user; their password is asked for")
        ->option_text("NAME")
        ->required();
    add_password(app, options.password_fd);
}

/// Whether there was one.
Result<bool> lift(const UnlockOptions& options, const specs::SafeSpec& spec, People& people,
                  const driver::Setting& setting, const Surroundings& around) {
    if (Result<const specs::UserSpec*> user = intent::known_super_user(spec, options.user); !user)
        return base::fail(user.error());
    const Result<intent::Snapshot> intent = people.store().snapshot();
    if (!intent) return base::fail(intent.error());
    if (!intent->lock) return false;
    if (Result<void> proved = people.prove(setting, options.user, {options.password_fd, around.stop}, around.builtin);
        !proved)
        return base::fail(proved.error());
    if (Result<void> same = still_says(options.spec, spec); !same) return base::fail(same.error());
    const Result<intent::Now> now = intent::SystemClock().now();  // the hold begins after the prompt
    if (!now) return base::fail(now.error());
    if (Result<void> lifted = people.store().unlock(*intent->lock, *now); !lifted) return base::fail(lifted.error());
    return true;
}

ExitCode unlock(const UnlockOptions& options, const Surroundings& around) {
    const Format format = options.spec.format;
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const driver::Places places = places_of(*spec, options.spec);
    const driver::KeyRing no_key;
    Result<People> people = People::at(places);
    if (!people) return report_error(people.error(), format);
    const Result<bool> lifted = lift(options, *spec, *people, {*spec, places, no_key}, around);
    if (!lifted) return report_error(lifted.error(), format);
    if (!*lifted) {
        print_done(fmt::format("safe {} has no lock to lift", *spec->safe), format);
        return success;
    }
    if (format == Format::text)
        say("safe {} is unlocked by {}; logins are let in again in {} minutes\n\n", *spec->safe, options.user,
            std::chrono::minutes(intent::close_hold).count());
    const auto converge = [&]() -> Result<model::Report> {
        const std::chrono::seconds deadline(spec->deadlines.close.value.seconds);
        Result<Convergence> convergence = begin_within(deadline, *spec, places, no_key, around);
        if (!convergence) return base::fail(convergence.error());
        const Result<model::Mode> mode = mode_of(*spec, places, std::nullopt);
        if (!mode) return base::fail(mode.error());
        // A task that wants it open goes on waiting for a key.
        const model::Mode shut = *mode == model::Mode::open ? model::Mode::closed : *mode;
        return convergence->run({.mode = shut, .yes = true, .format = format});
    };
    const std::string so_far = fmt::format("safe {} is unlocked: `safectl apply` does the rest", *spec->safe);
    return exit_code_of_closing(failed_after(converge(), so_far), format);
}

}  // namespace

void add_unlock(Menu& menu) {
    menu.add<UnlockOptions>("unlock", "Lift a lock with a super-user's key; the safe stays closed.", declare, unlock);
}

}  // namespace safe::cli
