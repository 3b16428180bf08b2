// safectl user revoke: takes somebody's access away at once, whether they are still in the spec or not.
#include <fmt/format.h>

#include "reconciler/cli/consent.hpp"
#include "reconciler/cli/user.hpp"
#include "reconciler/members/changes.hpp"

namespace safe::cli {
namespace {

struct UserRevokeOptions {
    SpecOptions spec;
    std::string user;
    bool yes = false;
};

void declare(CLI::App& app, UserRevokeOptions& options) {
    app.add_option("name", options.user, "whom")->option_text("NAME")->required();
    add_safe(app, options.spec);
    app.add_flag("--yes", options.yes, "do not ask");
}

base::Result<void> ask(const UserRevokeOptions& options, const std::stop_token& stop) {
    return ask_consent({.attempt = "revoke",
                        .object = options.user,
                        .text = fmt::format("take away {}'s keyslot and account?", options.user)},
                       options.yes, options.spec.format, stop);
}

ExitCode revoke(const UserRevokeOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    if (const base::Result<void> asked = ask(options, around.stop); !asked)
        return report_error(asked.error(), options.spec.format);
    base::Result<MemberDesk> desk = MemberDesk::open(*spec, options.spec, around);
    if (!desk) return report_error(desk.error(), options.spec.format);
    const base::Result<std::unique_ptr<MemberOffice>> office =
        MemberOffice::open(*std::move(desk), *spec, options.spec, around);
    if (!office) return report_error(office.error(), options.spec.format);
    bool declared = false;
    const base::Result<members::Done> done = (*office)->carry_out([&](const members::Parts& parts) {
        declared = parts.member(options.user) != nullptr;
        return members::revoke(parts, options.user);
    });
    const ExitCode code =
        report_done(done, options.user + " is revoked",
                    options.user + " can open nothing any more; say it again to take the directory's entry away",
                    options.spec.format);
    if (code == success && declared && options.spec.format == Format::text)
        say("still in the spec: the next apply makes an account again, which waits for a sponsor\n");
    return code;
}

}  // namespace

void add_user_revoke(Menu& menu) {
    menu.add<UserRevokeOptions>("revoke", "Take a member's keyslot and account away.", declare, revoke);
}

}  // namespace safe::cli
