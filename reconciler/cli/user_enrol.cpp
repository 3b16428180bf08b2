// safectl user enrol and passwd: the two commands that take new passwords.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "reconciler/cli/password.hpp"
#include "reconciler/cli/user.hpp"
#include "reconciler/members/changes.hpp"
#include "reconciler/members/strength.hpp"

namespace safe::cli {
namespace {

using base::Result;
using base::Secret;

struct Options {
    SpecOptions spec;
    std::string user;
    std::string sponsor;
    std::optional<int> password_fd;
};

/// Asked for twice on a terminal, where nobody sees what they type.
Result<Secret> read_new_password(const Options& options, const specs::SafeSpec& spec) {
    Result<Secret> password = read_password("new password of " + options.user, options.password_fd);
    if (!password) return password;
    if (const auto hint = members::hint_about(password->view(), options.user, *spec.safe))
        fmt::print(stderr, "hint: {}\n", *hint);
    if (options.password_fd) return password;
    const Result<Secret> again = read_password("once more", std::nullopt);
    if (!again) return base::fail(again.error());
    if (!std::ranges::equal(password->bytes(), again->bytes()))
        return base::fail(
            {"take", "the new password", "it was typed in two ways", "begin again", base::Error::Kind::refused});
    return password;
}

Result<members::Done> enrol_user(const Options& options, const specs::SafeSpec& spec, MemberOffice& office) {
    const std::string& sponsor = options.sponsor.empty() ? options.user : options.sponsor;
    const Result<Secret> key = read_password("password of " + sponsor, options.password_fd);
    if (!key) return base::fail(key.error());
    if (sponsor == options.user) return members::enrol(office.parts(), options.user, Secret(), sponsor, *key);
    const Result<Secret> password = read_new_password(options, spec);
    if (!password) return base::fail(password.error());
    return members::enrol(office.parts(), options.user, *password, sponsor, *key);
}

Result<members::Done> change(const Options& options, const specs::SafeSpec& spec, MemberOffice& office) {
    const Result<Secret> old_password = read_password("present password of " + options.user, options.password_fd);
    if (!old_password) return base::fail(old_password.error());
    const Result<Secret> password = read_new_password(options, spec);
    if (!password) return base::fail(password.error());
    return members::change_password(office.parts(), options.user, *old_password, *password);
}

template <class Work>
ExitCode carry_out(const Options& options, const Surroundings& around, const std::string& what, Work work) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const Result<std::unique_ptr<MemberOffice>> office = MemberOffice::open(*spec, options.spec, around);
    if (!office) return report_error(office.error(), options.spec.format);
    return report_done(work(options, *spec, **office), what, options.spec.format);
}

ExitCode enrol(const Options& options, const Surroundings& around) {
    return carry_out(options, around, options.user + " is enrolled", enrol_user);
}

ExitCode passwd(const Options& options, const Surroundings& around) {
    return carry_out(options, around, options.user + " has a new password", change);
}

void declare_passwd(CLI::App& app, Options& options) {
    app.add_option("name", options.user, "a member")->option_text("NAME")->required();
    add_safe(app, options.spec);
    app.add_option("--password-fd", options.password_fd, "read the passwords from this descriptor, one a line")
        ->option_text("N");
}

void declare_enrol(CLI::App& app, Options& options) {
    declare_passwd(app, options);
    app.add_option("--sponsor", options.sponsor,
                   "the member whose password opens the vault; left out for somebody who has a keyslot already")
        ->option_text("NAME");
}

}  // namespace

void add_user_enrol(Menu& menu) {
    menu.add<Options>("enrol", "Give a member of the spec a keyslot, with a sponsor's password.", declare_enrol, enrol);
}

void add_user_passwd(Menu& menu) { menu.add<Options>("passwd", "Change a member's password.", declare_passwd, passwd); }

}  // namespace safe::cli
