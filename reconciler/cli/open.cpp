// safectl open: a member's password becomes the key with which one convergence to *open* runs. What cannot be opened is
// closed again before the command ends.
#include <fmt/format.h>

#include "reconciler/applying/opening.hpp"
#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/password.hpp"

namespace safe::cli {
namespace {

using base::Error;
using base::Result;

struct Options {
    SpecOptions spec;
    std::string user;  // empty: nobody's key
    std::optional<int> password_fd;
};

void declare(CLI::App& app, Options& options) {
    add_safe(app, options.spec);
    app.add_option("--user", options.user, "whose key; the password is asked for")->option_text("NAME");
    add_password(app, options.password_fd);
}

Result<void> check_user(const specs::SafeSpec& spec, const std::string& user) {
    if (spec.users.empty()) return {};
    for (const specs::UserSpec& known : spec.users)
        if (known.name == user) return {};
    return base::fail({"open safe", *spec.safe, "nobody in the spec is called " + user,
                       "give the name of one of its users", Error::Kind::refused});
}

Result<void> put_key(const Options& options, const specs::SafeSpec& spec, driver::KeyRing& keys) {
    if (spec.vault() == nullptr) {
        if (options.user.empty() && !options.password_fd) return {};
        return base::fail({"use a key for safe", *spec.safe, "it has no vault: no key opens anything in it",
                           "leave --user and --password-fd out", Error::Kind::refused});
    }
    if (options.user.empty())
        return base::fail({"open safe", *spec.safe, "it has a vault, and nobody's key is given",
                           "say whose: --user NAME", Error::Kind::refused});
    if (Result<void> known = check_user(spec, options.user); !known) return known;
    Result<base::Secret> password = read_password("password of " + options.user, options.password_fd);
    if (!password) return base::fail(password.error());
    keys.put({options.user, std::move(*password)});
    return {};
}

/// What has failed is told before it is closed again, by the report of the first run.
Result<model::Report> open_or_close(Convergence& convergence, const Wish& open) {
    Result<model::Report> report = convergence.run(open);
    if (!report || !applying::must_close_again(*report)) return report;
    if (open.format == Format::text) fmt::print("\nopening failed: the safe is being closed again\n\n");
    Wish close = open;
    close.mode = model::Mode::closed;
    Result<model::Report> closed = convergence.run(close);
    if (!closed) return closed;
    return report;
}

ExitCode open(const Options& options, const Surroundings& around) {
    const Format format = options.spec.format;
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    driver::KeyRing keys;
    const auto converge = [&]() -> Result<model::Report> {
        const Result<model::Mode> mode = mode_of(*spec, specs::WantedMode::open);
        if (!mode) return base::fail(mode.error());
        if (const Result<void> key = put_key(options, *spec, keys); !key) return base::fail(key.error());
        Result<Convergence> convergence = Convergence::begin(*spec, places_of(*spec, options.spec), keys, around);
        if (!convergence) return base::fail(convergence.error());
        return open_or_close(*convergence, {.mode = *mode, .yes = true, .format = format});
    };
    return exit_code_of(converge(), format);
}

}  // namespace

void add_open(Menu& menu) { menu.add<Options>("open", "Open the safe with a member's key.", declare, open); }

}  // namespace safe::cli
