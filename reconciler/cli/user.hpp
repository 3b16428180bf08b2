// What the commands below `safectl user` have in common: the safe's lock, its members, and the three places that know
// of them.
#pragma once

#include <memory>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/cli/menu.hpp"
#include "reconciler/members/parts.hpp"

namespace safe::cli {

/// One command's work on members. Holds the safe's lock for as long as it lives, if it was asked to.
class MemberDesk {
 public:
    enum class Lock { taken, not_needed };

    /// Refused when the spec has no vault or no directory, or this build lacks one of the parts. From here on the
    /// process leaves no core dump and cannot be looked into by others.
    [[nodiscard]] static base::Result<MemberDesk> open(const specs::SafeSpec& spec, const SpecOptions& options,
                                                       const Surroundings& around, Lock lock);

    /// References into the desk.
    [[nodiscard]] members::Parts parts() const;

 private:
    MemberDesk(MemberServices services, std::vector<members::Member> roster, std::optional<applying::LockFile> lock)
        : services_(std::move(services)), roster_(std::move(roster)), lock_(std::move(lock)) {}

    MemberServices services_;
    std::vector<members::Member> roster_;
    std::optional<applying::LockFile> lock_;
};

/// Prints how it ended: what waits and why to standard error.
[[nodiscard]] ExitCode report_done(const base::Result<members::Done>& done, const std::string& what, Format format);

void add_user_list(Menu& menu);
void add_user_enrol(Menu& menu);
void add_user_passwd(Menu& menu);
void add_user_revoke(Menu& menu);

}  // namespace safe::cli
