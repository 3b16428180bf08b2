#include "reconciler/cli/user.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>

namespace safe::cli {
namespace {

using base::Error;
using base::Result;

/// Secrets are kept out of core dumps by themselves (base/secret.hpp); what libraries copy of them is not.
Result<void> forbid_core_dumps() {
    const rlimit nothing{};
    if (::setrlimit(RLIMIT_CORE, &nothing) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0) return {};
    return base::fail({"forbid", "core dumps", base::errno_text(errno), "run as root"});
}

std::unexpected<Error> refuse(const specs::SafeSpec& spec, std::string cause, std::string advice) {
    return base::fail(
        {"manage the members of", "safe " + *spec.safe, std::move(cause), std::move(advice), Error::Kind::refused});
}

}  // namespace

Result<MemberDesk> MemberDesk::open(const specs::SafeSpec& spec, const SpecOptions& options, const Surroundings& around,
                                    Lock lock) {
    if (Result<void> forbidden = forbid_core_dumps(); !forbidden) return base::fail(forbidden.error());
    if (spec.vault() == nullptr) return refuse(spec, "its spec has no vault", "declare a volume of role vault");
    if (!spec.directory) return refuse(spec, "its spec has no directory", "declare directory: and users:");
    const driver::Places places = places_of(spec, options);
    std::optional<applying::LockFile> taken;
    if (lock == Lock::taken) {
        Result<applying::LockFile> file = applying::LockFile::take(places.state_dir() / "lock");
        if (!file) return base::fail(file.error());
        taken = std::move(*file);
    }
    const driver::KeyRing no_key;
    Result<MemberServices> services = around.builtin.make_member_services({spec, places, no_key});
    if (!services) return base::fail(services.error());
    std::vector<members::Member> roster;
    for (const specs::UserSpec& user : spec.users) roster.push_back({user.name, *user.super});
    return MemberDesk(std::move(*services), std::move(roster), std::move(taken));
}

members::Parts MemberDesk::parts() const {
    return {*services_.vault, *services_.directory,           *services_.attempts, roster_,
            "local",          std::chrono::system_clock::now, services_.disconnect};
}

ExitCode report_done(const Result<members::Done>& done, const std::string& what, Format format) {
    if (!done) return report_error(done.error(), format);
    if (done->waits) {
        print_error(*done->waits, format);
        if (format == Format::text)
            fmt::print("{}, except for the above: the next command or apply finishes it\n", what);
        return waiting;
    }
    if (format == Format::text) fmt::print("{}\n", what);
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
