// What the commands below `safectl user` have in common: the safe's lock, its members, and the places that know of
// them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/cli/attachment.hpp"
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

/// For changing: holds the safe's lock for as long as it lives, and the vault's disk attached.
class MemberOffice {
 public:
    /// Refused while another command or apply holds the lock. `spec` outlives it.
    [[nodiscard]] static base::Result<std::unique_ptr<MemberOffice>> open(MemberDesk desk, const specs::SafeSpec& spec,
                                                                          const SpecOptions& options,
                                                                          const Surroundings& around);

    using Work = std::function<base::Result<members::Done>(const members::Parts&)>;
    /// Does it, and gives the vault's disk back.
    [[nodiscard]] base::Result<members::Done> carry_out(const Work& work);

 private:
    MemberOffice(MemberDesk desk, applying::LockFile lock, std::unique_ptr<Attachment> attachment, intent::Store store)
        : desk_(std::move(desk)),
          lock_(std::move(lock)),
          attachment_(std::move(attachment)),
          store_(std::move(store)) {}

    [[nodiscard]] members::Parts parts();

    MemberDesk desk_;
    applying::LockFile lock_;
    std::unique_ptr<Attachment> attachment_;
    intent::Store store_;
    WrongPasswords wrong_passwords_{store_};
};

/// Finishes what an earlier command on a member left, as far as the vault's header can be read as things are; the
/// caller holds the safe's lock. What has to wait is told to standard error, and keeps nobody from anything.
void finish_members(const specs::SafeSpec& spec, const driver::Places& places, const Surroundings& around,
                    Format format);

/// Prints how it ended: `what` is done; or what waits and why, to standard error, and `half`: how things stand until
/// then.
[[nodiscard]] ExitCode report_done(const base::Result<members::Done>& done, const std::string& what,
                                   const std::string& half, Format format);

void add_user_list(Menu& menu);
void add_user_enrol(Menu& menu);
void add_user_passwd(Menu& menu);
void add_user_revoke(Menu& menu);

}  // namespace safe::cli
