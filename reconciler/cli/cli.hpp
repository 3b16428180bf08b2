// safectl: from arguments to an exit code. main passes in what depends on how the program was built.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"
#include "reconciler/members/directory.hpp"
#include "reconciler/members/header_care.hpp"
#include "reconciler/members/vault_keys.hpp"

namespace safe::cli {

/// What this build has in it.
struct Builtin {
    /// The drivers for one safe. No I/O: a driver connects when it first looks.
    std::function<std::vector<std::unique_ptr<driver::Driver>>(const driver::Setting& setting)> make_drivers;
    /// Declared parts whose plugin was left out of this build.
    std::function<std::vector<model::Refusal>(const specs::SafeSpec& spec)> missing_plugins;
    /// Gives up what is saved of a VM; a sentence that says what was done.
    std::function<base::Result<std::string>(const driver::Setting& setting, const std::string& vm)> discard_state;
    /// The vault's header and the directory, as members are managed with them: for a spec that has both. nullptr when
    /// the plugin was left out of this build. No I/O.
    std::function<std::unique_ptr<members::VaultKeys>(const driver::Setting& setting)> make_vault_keys;
    std::function<std::unique_ptr<members::Directory>(const driver::Setting& setting)> make_directory;
    /// What can be done about one volume's header. Refused: no such volume, or the plugin was left out. No I/O.
    std::function<base::Result<std::unique_ptr<members::HeaderCare>>(const driver::Setting& setting,
                                                                     const std::string& volume)>
        make_header_care;
};

/// Blocks SIGINT, SIGTERM and, but for what closes, SIGHUP for the whole process, and turns the first of them into an
/// orderly stop; ignores SIGPIPE. Call once, from main.
[[nodiscard]] int run(int argc, char** argv, const Builtin& builtin);

}  // namespace safe::cli
