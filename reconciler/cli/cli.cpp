#include "reconciler/cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <pthread.h>
#include <signal.h>

#include <map>
#include <thread>

#include "reconciler/cli/commands.hpp"
#include "reconciler/cli/schema.hpp"

namespace safe::cli {
namespace {

const std::map<std::string, Format> format_names{{"text", Format::text}, {"json", Format::json}};
const std::map<std::string, specs::WantedMode> mode_names{{"auto", specs::WantedMode::automatic},
                                                          {"open", specs::WantedMode::open},
                                                          {"closed", specs::WantedMode::closed},
                                                          {"locked", specs::WantedMode::locked}};
const std::map<std::string, model::Disruption> disruption_limits{{"none", model::Disruption::none},
                                                                 {"live", model::Disruption::live},
                                                                 {"restart", model::Disruption::restart},
                                                                 {"downtime", model::Disruption::downtime}};

template <class T>
CLI::Option* add_choice(CLI::App& app, const std::string& name, T& target, const auto& names, const std::string& help) {
    std::string choices;
    for (const auto& [word, value] : names) choices += (choices.empty() ? "" : "|") + word;
    return app.add_option(name, target, help)
        ->transform(CLI::CheckedTransformer(names).description(""))
        ->option_text(choices);
}

void add_spec_options(CLI::App& app, SpecOptions& options) {
    app.add_option("-f,--file", options.file, "the spec")->option_text("FILE")->capture_default_str();
    add_choice(app, "--format", options.format, format_names, "how to print the result (text)");
}

void add_state_dir(CLI::App& app, std::filesystem::path& state_dir) {
    app.add_option("--state-dir", state_dir, "where images, disks and the journal lie")
        ->option_text("DIR")
        ->capture_default_str();
}

/// Waits for SIGINT or SIGTERM, which every thread has blocked, and asks for an orderly stop.
class SignalWatch {
 public:
    SignalWatch() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        thread_ = std::jthread([this](const std::stop_token& ended) {
            const timespec while_running{.tv_sec = 0, .tv_nsec = 100'000'000};
            while (!ended.stop_requested())
                if (sigtimedwait(&signals_, nullptr, &while_running) > 0) stop_.request_stop();
        });
    }

    [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

 private:
    sigset_t signals_{};
    std::stop_source stop_;
    std::jthread thread_;
};

}  // namespace

int run(int argc, char** argv, const Builtin& builtin) {
    CLI::App app("Compares what safe.yaml declares with the live system, and converges it.", "safectl");
    app.require_subcommand(1);
    app.set_version_flag("--version", "safectl " SAFE_VERSION);
    app.footer(
        "Exit codes: 0 as asked; 1 an error; 2 (plan --exit-code) steps could run; 3 only waits for a person are left; "
        "4 refused, nothing touched; 130 interrupted.");

    SpecOptions validate_options;
    CLI::App& validating =
        *app.add_subcommand("validate", "Judge a spec: syntax, types, domain rules. Touches nothing.");
    add_spec_options(validating, validate_options);

    PlanOptions plan_options;
    CLI::App& planning =
        *app.add_subcommand("plan", "Show what apply would do. Reads the live system, changes nothing.");
    add_spec_options(planning, plan_options.spec);
    add_state_dir(planning, plan_options.state_dir);
    add_choice(planning, "--mode", plan_options.mode, mode_names, "as if the spec said this mode");
    planning.add_flag("--exit-code", plan_options.exit_code,
                      "2: steps could run, 3: only waits are left, 1: something is unknown");
    planning.add_option("--out", plan_options.out, "keep the plan, for: safectl apply FILE")->option_text("FILE");

    ApplyOptions apply_options;
    CLI::App& applying = *app.add_subcommand("apply", "Make the live system as the spec declares it.");
    add_spec_options(applying, apply_options.spec);
    add_state_dir(applying, apply_options.state_dir);
    CLI::Option* plan_file =
        applying.add_option("plan", apply_options.plan_file, "a plan kept with plan --out: apply exactly this")
            ->option_text("[FILE]");
    add_choice(applying, "--mode", apply_options.mode, mode_names, "as if the spec said this mode")
        ->excludes(plan_file);
    add_choice(applying, "--max-disruption", apply_options.max_disruption, disruption_limits,
               "refuse a plan that costs more");
    applying.add_flag("--yes", apply_options.yes, "do not ask");

    OpenOptions open_options;
    CLI::App& opening = *app.add_subcommand("open", "Open the safe with a member's key.");
    add_spec_options(opening, open_options.spec);
    add_state_dir(opening, open_options.state_dir);
    opening.add_option("--user", open_options.user, "whose key; the password is asked for")->option_text("NAME");
    opening.add_option("--password-fd", open_options.password_fd, "read the password from this descriptor")
        ->option_text("N");

    CloseOptions close_options;
    CLI::App& closing = *app.add_subcommand("close", "Close the safe, whatever it takes.");
    add_spec_options(closing, close_options.spec);
    add_state_dir(closing, close_options.state_dir);

    CLI::App& schema = *app.add_subcommand("schema", "Print the JSON Schema of safe.yaml.");
    bool reference = false;
    schema.add_flag("--reference", reference, "print the reference in Markdown instead");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? success : failure;
    }
    for (std::filesystem::path* state_dir :
         {&plan_options.state_dir, &apply_options.state_dir, &open_options.state_dir, &close_options.state_dir})
        *state_dir = std::filesystem::absolute(*state_dir);
    const SignalWatch signals;
    if (validating.parsed()) return validate(validate_options);
    if (planning.parsed()) return plan(plan_options, builtin, signals.token());
    if (applying.parsed()) return apply(apply_options, builtin, signals.token());
    if (opening.parsed()) return open(open_options, builtin, signals.token());
    if (closing.parsed()) return close(close_options, builtin, signals.token());
    return print_schema(reference);
}

}  // namespace safe::cli
