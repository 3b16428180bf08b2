// safectl user enrol and passwd: the two commands that take new passwords.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "reconciler/cli/password.hpp"
#include "reconciler/cli/user.hpp"
#include "reconciler/members/changes.hpp"
#include "reconciler/members/strength.hpp"

namespace safe::cli {
namespace {

using base::Result;
using base::Secret;

struct UserEnrolOptions {
    SpecOptions spec;
    std::string user;
    std::string sponsor;
    std::optional<int> password_fd;
};

/// Asked for twice on a terminal, where nobody sees what they type.
Result<Secret> read_new_password(const UserEnrolOptions& options, const specs::SafeSpec& spec,
                                 const Passwords& passwords) {
    Result<Secret> password = passwords.next("new password of " + options.user);
    if (!password) return password;
    // A program that hands a password over reads JSON alone.
    const bool is_told = options.spec.format == Format::text || passwords.are_typed();
    if (const auto hint = members::hint_about(password->view(), options.user, *spec.safe); hint && is_told)
        say_on(STDERR_FILENO, "hint: " + *hint + "\n");
    if (!passwords.are_typed()) return password;
    const Result<Secret> again = passwords.next("once more");
    if (!again) return base::fail(again.error());
    if (!std::ranges::equal(password->bytes(), again->bytes()))
        return base::fail(
            {"take", "the new password", "it was typed in two ways", "begin again", base::Error::Kind::refused});
    return password;
}

/// What opens the vault, and what is to be the user's own; empty where they have a keyslot and keep their password.
struct Typed {
    Secret key;
    Secret password;
};

const std::string& sponsor_of(const UserEnrolOptions& options) {
    return options.sponsor.empty() ? options.user : options.sponsor;
}

Result<Typed> read_to_enrol(const UserEnrolOptions& options, const specs::SafeSpec& spec, const Passwords& passwords) {
    Result<Secret> key = passwords.next("password of " + sponsor_of(options));
    if (!key) return base::fail(key.error());
    if (sponsor_of(options) == options.user) return Typed{*std::move(key), Secret()};
    Result<Secret> password = read_new_password(options, spec, passwords);
    if (!password) return base::fail(password.error());
    return Typed{*std::move(key), *std::move(password)};
}

Result<Typed> read_to_change(const UserEnrolOptions& options, const specs::SafeSpec& spec, const Passwords& passwords) {
    Result<Secret> key = passwords.next("present password of " + options.user);
    if (!key) return base::fail(key.error());
    Result<Secret> password = read_new_password(options, spec, passwords);
    if (!password) return base::fail(password.error());
    return Typed{*std::move(key), *std::move(password)};
}

/// Takes the safe's lock after the last password is typed: whoever sits at a prompt keeps nobody from closing it.
Result<members::Done> with_passwords(
    const UserEnrolOptions& options, const specs::SafeSpec& spec, const Surroundings& around, const auto& read,
    const std::function<Result<members::Done>(const members::Parts&, const Typed&)>& work) {
    Result<MemberDesk> desk = MemberDesk::open(spec, options.spec, around);
    if (!desk) return base::fail(desk.error());
    const Result<Typed> typed = read(options, spec, Passwords(options.password_fd, around.stop));
    if (!typed) return base::fail(typed.error());
    const Result<std::unique_ptr<MemberOffice>> office =
        MemberOffice::open(*std::move(desk), spec, options.spec, around);
    if (!office) return base::fail(office.error());
    return (*office)->carry_out([&](const members::Parts& parts) { return work(parts, *typed); });
}

ExitCode enrol(const UserEnrolOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const auto work = [&](const members::Parts& parts, const Typed& typed) {
        return members::enrol(parts, options.user, typed.password, sponsor_of(options), typed.key);
    };
    return report_done(
        with_passwords(options, *spec, around, read_to_enrol, work), options.user + " is enrolled",
        options.user + " has a keyslot, and the directory does not know the password yet: say the same again",
        options.spec.format);
}

ExitCode passwd(const UserEnrolOptions& options, const Surroundings& around) {
    const std::optional<specs::SafeSpec> spec = load(options.spec);
    if (!spec) return failure;
    const auto work = [&](const members::Parts& parts, const Typed& typed) {
        return members::change_password(parts, options.user, typed.key, typed.password);
    };
    return report_done(
        with_passwords(options, *spec, around, read_to_change, work), options.user + " has a new password",
        fmt::format(
            "one of {0}'s two passwords counts, the one that the directory takes, and both open the vault still: "
            "the next `safectl user` command, open or apply takes the other away",
            options.user),
        options.spec.format);
}

void declare_passwd(CLI::App& app, UserEnrolOptions& options) {
    app.add_option("name", options.user, "a member")->option_text("NAME")->required();
    add_safe(app, options.spec);
    app.add_option("--password-fd", options.password_fd, "read the passwords from this descriptor, one a line")
        ->option_text("N");
}

void declare_enrol(CLI::App& app, UserEnrolOptions& options) {
    declare_passwd(app, options);
    app.add_option("--sponsor", options.sponsor,
                   "the member whose password opens the vault; left out for somebody who has a keyslot already")
        ->option_text("NAME");
}

}  // namespace

void add_user_enrol(Menu& menu) {
    menu.add<UserEnrolOptions>("enrol", "Give a member of the spec a keyslot, with a sponsor's password.",
                               declare_enrol, enrol);
}

void add_user_passwd(Menu& menu) {
    menu.add<UserEnrolOptions>("passwd", "Change a member's password.", declare_passwd, passwd);
}

}  // namespace safe::cli
