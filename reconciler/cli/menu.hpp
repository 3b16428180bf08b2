// How a command of safectl says what it is called, what it takes and what it does: each file of this folder that is
// named after a command adds itself to the menu, and cli.cpp lists those files' functions. Nothing is carried out
// before the whole command line was understood.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "reconciler/cli/cli.hpp"
#include "reconciler/cli/commands.hpp"
#include "reconciler/cli/exit_code.hpp"

namespace safe::cli {

/// What a command may use besides its own options.
struct Surroundings {
    const Builtin& builtin;
    std::stop_token stop;        // asked for by Ctrl-C and the like
    std::stop_token stop_again;  // … for the second time: what undoes the first part of a command ends by this one only
};

/// What it means to a command that its terminal, or the connection it was given through, has gone (SIGHUP).
enum class Hangup { stops_it, is_nothing_to_it };

struct Chosen {
    std::function<ExitCode(const Surroundings&)> run;
    Hangup hangup = Hangup::stops_it;
};

class Menu {
 public:
    /// `app` and `chosen` outlive it; `chosen` becomes what the command line asks for.
    Menu(CLI::App& app, Chosen& chosen) : app_(app), chosen_(chosen) {}

    /// A command whose options are an O, filled when `run` is called.
    template <class O>
    void add(const std::string& name, const std::string& help, void (*declare)(CLI::App&, O&),
             ExitCode (*run)(const O&, const Surroundings&), Hangup hangup = Hangup::stops_it) {
        CLI::App& command = *app_.add_subcommand(name, help);
        const auto options = std::make_shared<O>();
        declare(command, *options);
        command.callback([&chosen = chosen_, options, run, hangup] {
            chosen = {[options, run](const Surroundings& around) { return run(*options, around); }, hangup};
        });
    }

    /// Commands below a word: `safectl user list`.
    [[nodiscard]] Menu group(const std::string& name, const std::string& help) {
        CLI::App& below = *app_.add_subcommand(name, help);
        below.require_subcommand(1);
        return {below, chosen_};
    }

 private:
    CLI::App& app_;
    Chosen& chosen_;
};

template <class T>
CLI::Option* add_choice(CLI::App& app, const std::string& name, T& target, const std::map<std::string, T>& names,
                        const std::string& help) {
    std::string choices;
    for (const auto& [word, value] : names) choices += (choices.empty() ? "" : "|") + word;
    return app.add_option(name, target, help)
        ->transform(CLI::CheckedTransformer(names).description(""))
        ->option_text(choices);
}
template <class T>
CLI::Option* add_choice(CLI::App& app, const std::string& name, std::optional<T>& target,
                        const std::map<std::string, T>& names, const std::string& help) {
    std::string choices;
    for (const auto& [word, value] : names) choices += (choices.empty() ? "" : "|") + word;
    return app.add_option(name, target, help)
        ->transform(CLI::CheckedTransformer(names).description(""))
        ->option_text(choices);
}

// --- options that several commands have
void add_format(CLI::App& app, Format& format);
/// -f and --format.
void add_spec(CLI::App& app, SpecOptions& options);
/// -f, --format and --state-dir.
void add_safe(CLI::App& app, SpecOptions& options);
CLI::Option* add_mode(CLI::App& app, std::optional<specs::WantedMode>& mode, const std::string& help);
/// --password-fd N.
void add_password(CLI::App& app, std::optional<int>& descriptor);

// --- the commands
void add_validate(Menu& menu);
void add_plan(Menu& menu);
void add_apply(Menu& menu);
void add_open(Menu& menu);
void add_close(Menu& menu);
void add_lock(Menu& menu);
void add_unlock(Menu& menu);
void add_task(Menu& menu);
void add_status(Menu& menu);
void add_discard_state(Menu& menu);
void add_user(Menu& menu);
void add_header(Menu& menu);
void add_verify(Menu& menu);
void add_doctor(Menu& menu);
void add_schema(Menu& menu);

}  // namespace safe::cli
