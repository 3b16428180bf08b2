// What the commands that say what people want have in common: the store of one safe, the time, and how somebody proves
// that they are who they say. One object a command.
#pragma once

#include <string>

#include "reconciler/cli/menu.hpp"
#include "reconciler/cli/password.hpp"
#include "reconciler/intent/effective_mode.hpp"
#include "reconciler/intent/store.hpp"

namespace safe::cli {

/// The mode in effect by what is kept, without making anything. An Error, and no mode, when that cannot be read.
[[nodiscard]] base::Result<intent::Effective> effective_of(const specs::SafeSpec& spec, const driver::Places& places);
/// By this intent, and as if the file said `wanted`.
[[nodiscard]] base::Result<intent::Effective> effective_of(const specs::SafeSpec& spec, const intent::Snapshot& intent,
                                                           specs::WantedMode wanted);

/// Secrets are kept out of core dumps by themselves (base/secret.hpp); what libraries copy of them is not. For the
/// whole process, and for good.
[[nodiscard]] base::Result<void> forbid_core_dumps();

class People {
 public:
    /// Makes the safe's directory and store when they are missing.
    [[nodiscard]] static base::Result<People> at(const driver::Places& places);

    [[nodiscard]] intent::Store& store() { return store_; }
    [[nodiscard]] const intent::Now& now() const { return now_; }

    /// Asks for the password of `user` and has it tried against the vault's header, opening nothing. Being root is not
    /// being a member. Wrong ones are counted, durably, and make the next one wait.
    [[nodiscard]] base::Result<void> prove(const driver::Setting& setting, const std::string& user,
                                           const Passwords& passwords, const Builtin& builtin);

    /// The same of a password that has been typed, against a header that was read elsewhere.
    [[nodiscard]] base::Result<void> prove_on(members::KeyTrial& trial, const members::VaultHeader& header,
                                              const std::string& user, const base::Secret& password);

    /// The same for opening: the directory must take the password too, if there is one and it can be reached. What was
    /// derived to try it comes with it. What is typed for a vault that has not been made yet will be its first key, and
    /// cannot be tried.
    [[nodiscard]] base::Result<driver::MemberKey> log_in(const driver::Setting& setting, const std::string& user,
                                                         const Passwords& passwords, const Builtin& builtin);

 private:
    People(intent::Store store, intent::Now now) : store_(std::move(store)), now_(std::move(now)) {}

    intent::Store store_;
    intent::Now now_;
};

/// Prints one sentence as text, or as {"version": 1, "kind": "done", "done": …}.
void print_done(const std::string& sentence, Format format);

}  // namespace safe::cli
