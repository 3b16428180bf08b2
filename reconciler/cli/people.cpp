#include "reconciler/cli/people.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/wrong_passwords.hpp"
#include "reconciler/members/proof.hpp"

namespace safe::cli {

using base::Error;
using base::Result;

Result<intent::Effective> effective_of(const specs::SafeSpec& spec, const driver::Places& places) {
    const Result<intent::Snapshot> intent = intent::Store::read(places.state_dir());
    return intent ? effective_of(spec, *intent, *spec.mode) : base::fail(intent.error());
}

Result<intent::Effective> effective_of(const specs::SafeSpec& spec, const intent::Snapshot& intent,
                                       specs::WantedMode wanted) {
    const Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    specs::SafeSpec asked = spec;
    asked.mode.value = wanted;
    return intent::effective_mode(asked, intent, *now);
}

Result<void> forbid_core_dumps() {
    const rlimit nothing{};
    if (::setrlimit(RLIMIT_CORE, &nothing) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0) return {};
    return base::fail({"forbid", "core dumps", base::errno_text(errno), "run as root"});
}

Result<People> People::at(const driver::Places& places) {
    if (Result<void> made = make_state_directory(places.state_dir()); !made) return base::fail(made.error());
    Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    Result<intent::Store> store = intent::Store::open(places.state_dir());
    if (!store) return base::fail(store.error());
    return People(std::move(*store), std::move(*now));
}

namespace {

std::unexpected<Error> refuse(const std::string& user, std::string cause, std::string advice) {
    return base::fail({"prove the key of", user, std::move(cause), std::move(advice), Error::Kind::refused});
}

/// Ready for a password to come into this process.
Result<std::unique_ptr<members::VaultKeys>> vault_of(const driver::Setting& setting, const std::string& user,
                                                     const Builtin& builtin) {
    if (setting.spec.vault() == nullptr)
        return refuse(user, "the spec has no vault to prove it against", "declare one");
    std::unique_ptr<members::VaultKeys> vault = builtin.make_vault_keys(setting);
    if (!vault) return refuse(user, "this build of safectl is without the plugin luks", "use a build that has it");
    if (Result<void> forbidden = forbid_core_dumps(); !forbidden) return base::fail(forbidden.error());
    return vault;
}

Result<void> ask_directory(const driver::Setting& setting, const std::string& user, const base::Secret& key,
                           const Builtin& builtin) {
    if (!setting.spec.directory) return {};
    const std::unique_ptr<members::Directory> directory = builtin.make_directory(setting);
    if (!directory) return refuse(user, "this build of safectl is without the plugin ldap", "use one that has it");
    // Out of reach is no verdict: the vault's is the final one.
    if (const Result<bool> taken = directory->binds(user, key); !taken || *taken) return {};
    return refuse(user, "the directory does not take this password: it was replaced, or the enrolment is unfinished",
                  "use the new one, or finish it: safectl user enrol " + user);
}

}  // namespace

Result<void> People::prove(const driver::Setting& setting, const std::string& user, const Passwords& passwords,
                           const Builtin& builtin) {
    const Result<std::unique_ptr<members::VaultKeys>> vault = vault_of(setting, user, builtin);
    if (!vault) return base::fail(vault.error());
    const Result<members::VaultHeader> header = (*vault)->read();
    if (!header) return base::fail(header.error());
    const Result<base::Secret> password = passwords.next("password of " + user);
    return password ? prove_on(**vault, *header, user, *password) : base::fail(password.error());
}

Result<void> People::prove_on(members::KeyTrial& trial, const members::VaultHeader& header, const std::string& user,
                              const base::Secret& password) {
    WrongPasswords attempts(store_);
    const Result<members::Proof> proof = members::prove({trial, attempts}, header, user, password);
    return proof ? Result<void>() : base::fail(proof.error());
}

Result<driver::MemberKey> People::log_in(const driver::Setting& setting, const std::string& user,
                                         const Passwords& passwords, const Builtin& builtin) {
    const Result<std::unique_ptr<members::VaultKeys>> vault = vault_of(setting, user, builtin);
    if (!vault) return base::fail(vault.error());
    const Result<bool> made = (*vault)->is_made();
    if (!made) return base::fail(made.error());
    const Result<members::VaultHeader> header = *made ? (*vault)->read() : members::VaultHeader();
    if (!header) return base::fail(header.error());
    Result<base::Secret> password = passwords.next("password of " + user);
    if (!password) return base::fail(password.error());
    if (!*made) return driver::MemberKey{user, *std::move(password)};
    WrongPasswords attempts(store_);
    Result<members::Proof> proof = members::prove({**vault, attempts}, *header, user, *password);
    if (!proof) return base::fail(proof.error());
    if (Result<void> taken = ask_directory(setting, user, proof->keys.directory, builtin); !taken)
        return base::fail(taken.error());
    return driver::MemberKey{
        user, *std::move(password),
        driver::DerivedKey{std::move(proof->keys.luks), header->derivation.salt, header->derivation.cost}};
}

void print_done(const std::string& sentence, Format format) {
    if (format == Format::text)
        say("{}\n", sentence);
    else
        say_document({{"version", 1}, {"kind", "done"}, {"done", sentence}});
}

}  // namespace safe::cli
