#include "reconciler/cli/people.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

#include "reconciler/cli/convergence.hpp"
#include "reconciler/cli/password.hpp"
#include "reconciler/cli/wrong_passwords.hpp"
#include "reconciler/members/back_off.hpp"
#include "reconciler/members/proof.hpp"

namespace safe::cli {

using base::Error;
using base::Result;

Result<intent::Effective> effective_of(const specs::SafeSpec& spec, const driver::Places& places) {
    const Result<intent::Snapshot> intent = intent::Store::read(places.state_dir());
    if (!intent) return base::fail(intent.error());
    const Result<intent::Now> now = intent::SystemClock().now();
    if (!now) return base::fail(now.error());
    return intent::effective_mode(*spec.mode, std::chrono::seconds(spec.linger->seconds), *intent, *now);
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

Result<void> People::prove(const driver::Setting& setting, const std::string& user, std::optional<int> password_fd,
                           const Builtin& builtin) {
    const auto refuse = [&](std::string cause, std::string advice) {
        return base::fail({"prove the key of", user, std::move(cause), std::move(advice), Error::Kind::refused});
    };
    if (setting.spec.vault() == nullptr) return refuse("the spec has no vault to prove it against", "declare one");
    const std::unique_ptr<members::VaultKeys> vault = builtin.make_vault_keys(setting);
    if (!vault) return refuse("this build of safectl is without the plugin luks", "use a build that has it");
    if (Result<void> forbidden = forbid_core_dumps(); !forbidden) return forbidden;
    const Result<members::VaultHeader> header = vault->read();
    if (!header) return base::fail(header.error());
    const Result<base::Secret> password = read_password("password of " + user, password_fd);
    if (!password) return base::fail(password.error());
    WrongPasswords attempts(store_);
    members::BackOff back_off(attempts, now_.wall);
    if (Result<void> admitted = back_off.admit(user, intent::local_source); !admitted) return admitted;
    const Result<members::Keys> keys = members::derive_keys(*password, header->derivation, user);
    const Result<std::optional<members::Keyslot>> opened =
        keys ? vault->prove(user, keys->luks) : base::fail(keys.error());
    if (!opened) {
        if (Result<void> undone = back_off.was_not_tried(user, intent::local_source); !undone) return undone;
        return base::fail(opened.error());
    }
    if (!*opened) return refuse("the password is wrong", "type it again; each wrong one makes the next wait longer");
    return back_off.was_right(user, intent::local_source);
}

void print_done(const std::string& sentence, Format format) {
    if (format == Format::text)
        fmt::print("{}\n", sentence);
    else
        fmt::print("{}\n", nlohmann::ordered_json{{"version", 1}, {"kind", "done"}, {"done", sentence}}.dump(2));
}

}  // namespace safe::cli
