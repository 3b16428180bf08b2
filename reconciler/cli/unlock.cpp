// safectl unlock: a super-user lifts the lock of safectl lock, with their key: being root is not being a member. The
// safe is closed afterwards, and open for logins a few minutes later. A lock in the file is lifted by changing the
// file.
#include <fmt/format.h>

#include "reconciler/cli/people.hpp"
#include "reconciler/intent/requests.hpp"

namespace safe::cli {
namespace {

using base::Result;

struct Options {
    SpecOptions spec;
    std::string user;
    std::optional<int> password_fd;
};

void declare(CLI::App& app, Options& options) {
    add_safe(app, options.spec);
    app.add_option("--user", options.user, "a super-user; their password is asked for")
        ->option_text("NAME")
        ->required();
    add_password(app, options.password_fd);
}

Result<std::string> lift(const Options& options, const specs::SafeSpec& spec, const Surroundings& around) {
    const driver::Places places = places_of(spec, options.spec);
    const driver::KeyRing no_key;
    if (Result<const specs::UserSpec*> user = intent::known_super_user(spec, options.user); !user)
        return base::fail(user.error());
    Result<People> people = People::at(places);
    if (!people) return base::fail(people.error());
    const Result<intent::Snapshot> intent = people->store().snapshot();
    if (!intent) return base::fail(intent.error());
    if (!intent->lock) return fmt::format("safe {} has no lock to lift", *spec.safe);
    if (Result<void> proved = people->prove({spec, places, no_key}, options.user, options.password_fd, around.builtin);
        !proved)
        return base::fail(proved.error());
    if (Result<void> lifted = people->store().unlock(people->now()); !lifted) return base::fail(lifted.error());
    return fmt::format("safe {} is unlocked by {}, and closed; logins are let in again in {} minutes", *spec.safe,
                       options.user, std::chrono::minutes(intent::close_hold).count());
}

ExitCode unlock(const Options& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const Result<std::string> done = lift(options, *spec, around);
    if (!done) return report_error(done.error(), options.spec.format);
    print_done(*done, options.spec.format);
    return success;
}

}  // namespace

void add_unlock(Menu& menu) {
    menu.add<Options>("unlock", "Lift a lock with a super-user's key; the safe stays closed.", declare, unlock);
}

}  // namespace safe::cli
