#include "reconciler/cli/user.hpp"

#include <fmt/format.h>

#include "reconciler/cli/people.hpp"
#include "reconciler/members/settle.hpp"

namespace safe::cli {
namespace {

using base::Error;
using base::Result;

std::unexpected<Error> refuse(const specs::SafeSpec& spec, std::string cause, std::string advice) {
    return base::fail(
        {"manage the members of", "safe " + *spec.safe, std::move(cause), std::move(advice), Error::Kind::refused});
}

}  // namespace

Result<MemberDesk> MemberDesk::open(const specs::SafeSpec& spec, const SpecOptions& options,
                                    const Surroundings& around) {
    if (Result<void> forbidden = forbid_core_dumps(); !forbidden) return base::fail(forbidden.error());
    if (spec.vault() == nullptr) return refuse(spec, "its spec has no vault", "declare a volume of role vault");
    if (!spec.directory) return refuse(spec, "its spec has no directory", "declare directory: and users:");
    const driver::KeyRing no_key;
    const driver::Setting setting{spec, places_of(spec, options), no_key};
    MemberDesk desk;
    desk.vault_ = around.builtin.make_vault_keys(setting);
    desk.directory_ = around.builtin.make_directory(setting);
    if (!desk.vault_) return refuse(spec, "this build of safectl is without the plugin luks", "use one that has it");
    if (!desk.directory_)
        return refuse(spec, "this build of safectl is without the plugin ldap", "use one that has it");
    for (const specs::UserSpec& user : spec.users) desk.roster_.push_back({user.name, *user.super});
    return desk;
}

Result<members::Roll> MemberDesk::call_roll() const { return members::call_roll(*vault_, *directory_, roster_); }

Result<std::unique_ptr<MemberOffice>> MemberOffice::open(MemberDesk desk, const specs::SafeSpec& spec,
                                                         const SpecOptions& options, const Surroundings& around) {
    const driver::Places places = places_of(spec, options);
    Result<applying::LockFile> lock = applying::LockFile::take(places.state_dir() / "lock");
    if (!lock) return base::fail(lock.error());
    if (Result<void> same = still_says(options, spec); !same) return base::fail(same.error());
    Result<intent::Store> store = intent::Store::open(places.state_dir());
    if (!store) return base::fail(store.error());
    Result<std::unique_ptr<Attachment>> attachment = Attachment::take(spec, places, around);
    if (!attachment) return base::fail(attachment.error());
    return std::unique_ptr<MemberOffice>(
        new MemberOffice(std::move(desk), *std::move(lock), *std::move(attachment), *std::move(store)));
}

Result<members::Done> MemberOffice::carry_out(const Work& work) {
    Result<members::Done> done = work(parts());
    Result<void> away = attachment_->give_back();
    if (away) return done;
    if (!done) {
        done.error().advice += "; the vault's disk is still attached: `safectl apply` takes it away";
        return done;
    }
    away.error().advice = "the change itself is made; `safectl apply` takes the disk away";
    return base::fail(away.error());
}

members::Parts MemberOffice::parts() {
    const auto disconnect = [this](std::string_view user) { return store_.expel(std::string(user)); };
    return {*desk_.vault_, *desk_.directory_, wrong_passwords_, desk_.roster_, "local", std::chrono::system_clock::now,
            disconnect};
}

void finish_members(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around,
                    Format format) {
    if (spec.vault() == nullptr || !spec.directory) return;
    const driver::KeyRing no_key;
    const driver::Setting setting{spec, places, no_key};
    const std::unique_ptr<members::VaultKeys> vault = around.builtin.make_vault_keys(setting);
    const std::unique_ptr<members::Directory> directory = around.builtin.make_directory(setting);
    // Not attached, not made yet, or damaged: the plan says what of it matters.
    if (!vault || !directory || !vault->read()) return;
    const Result<members::Done> done = members::settle(*vault, *directory);
    if (!done)
        print_error(done.error(), format);
    else if (done->waits)
        print_error(*done->waits, format);
}

ExitCode report_done(const Result<members::Done>& done, const std::string& what, const std::string& half,
                     Format format) {
    if (!done) return report_error(done.error(), format);
    if (done->waits) {
        print_error(*done->waits, format);
        print_done(half, format);
        return waiting;
    }
    print_done(what, format);
    return success;
}

void add_user(Menu& menu) {
    Menu below = menu.group("user", "Members: who they are, and who can open the safe.");
    add_user_list(below);
    add_user_enrol(below);
    add_user_passwd(below);
    add_user_revoke(below);
}

}  // namespace safe::cli
