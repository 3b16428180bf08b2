// What the commands below `safectl user` have in common: the safe's lock, its members, and the places that know of
// them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/cli/menu.hpp"
#include "reconciler/cli/wrong_passwords.hpp"
#include "reconciler/intent/store.hpp"
#include "reconciler/members/parts.hpp"
#include "reconciler/members/roll.hpp"

namespace safe::cli {

/// For looking. From here on the process leaves no core dump and cannot be looked into by others.
class MemberDesk {
 public:
    /// Refused when the spec has no vault or no directory, or this build lacks the plugin for one.
    [[nodiscard]] static base::Result<MemberDesk> open(const specs::SafeSpec& spec, const SpecOptions& options,
                                                       const Surroundings& around);

    [[nodiscard]] base::Result<members::Roll> call_roll() const;

 private:
    friend class MemberOffice;
    MemberDesk() = default;

    std::unique_ptr<members::VaultKeys> vault_;
    std::unique_ptr<members::Directory> directory_;
    std::vector<members::Member> roster_;
};

/// For changing: holds the safe's lock for as long as it lives.
class MemberOffice {
 public:
    /// Refused while another command or apply holds the lock.
    [[nodiscard]] static base::Result<std::unique_ptr<MemberOffice>> open(MemberDesk desk, const specs::SafeSpec& spec,
                                                                          const SpecOptions& options);

    /// References into the office.
    [[nodiscard]] members::Parts parts();

 private:
    MemberOffice(MemberDesk desk, applying::LockFile lock, intent::Store store)
        : desk_(std::move(desk)), lock_(std::move(lock)), store_(std::move(store)) {}

    MemberDesk desk_;
    applying::LockFile lock_;
    intent::Store store_;
    WrongPasswords wrong_passwords_{store_};
};

/// Prints how it ended: what waits and why to standard error.
[[nodiscard]] ExitCode report_done(const base::Result<members::Done>& done, const std::string& what, Format format);

void add_user_list(Menu& menu);
void add_user_enrol(Menu& menu);
void add_user_passwd(Menu& menu);
void add_user_revoke(Menu& menu);

}  // namespace safe::cli
