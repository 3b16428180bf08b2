// safectl: from arguments to an exit code. main passes in what depends on how the program was built.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"
#include "reconciler/members/attempts.hpp"
#include "reconciler/members/directory.hpp"
#include "reconciler/members/vault_keys.hpp"

namespace safe::cli {

/// The three places that know of members.
struct MemberServices {
    std::unique_ptr<members::VaultKeys> vault;
    std::unique_ptr<members::Directory> directory;
    std::unique_ptr<members::AttemptStore> attempts;
    std::function<base::Result<void>(std::string_view user)> disconnect = nullptr;  // members::Parts says what it does
};

/// What this build has in it.
struct Builtin {
    /// The drivers for one safe. No I/O: a driver connects when it first looks.
    std::function<std::vector<std::unique_ptr<driver::Driver>>(const driver::Setting& setting)> make_drivers;
    /// Declared parts whose plugin was left out of this build.
    std::function<std::vector<model::Refusal>(const specs::SafeSpec& spec)> missing_plugins;
    /// For a safe with a vault and a directory. An Error that names what this build lacks. No I/O but the memory of
    /// wrong passwords, which is opened.
    std::function<base::Result<MemberServices>(const driver::Setting& setting)> make_member_services;
};

/// Blocks SIGINT and SIGTERM for the whole process and turns the first of them into an orderly stop. Call once, from
/// main.
[[nodiscard]] int run(int argc, char** argv, const Builtin& builtin);

}  // namespace safe::cli
