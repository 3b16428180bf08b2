// safectl: from arguments to an exit code. main passes in what depends on how the program was built.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::cli {

/// What this build has in it.
struct Builtin {
    /// The drivers for one safe. No I/O: a driver connects when it first looks.
    std::function<std::vector<std::unique_ptr<driver::Driver>>(const driver::Setting& setting)> make_drivers;
    /// Declared parts whose plugin was left out of this build.
    std::function<std::vector<model::Refusal>(const specs::SafeSpec& spec)> missing_plugins;
};

/// Blocks SIGINT and SIGTERM for the whole process and turns the first of them into an orderly stop. Call once, from
/// main.
[[nodiscard]] int run(int argc, char** argv, const Builtin& builtin);

}  // namespace safe::cli
