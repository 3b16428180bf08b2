#include "reconciler/cli/menu.hpp"

namespace safe::cli {
void add_format(CLI::App& app, Format& format) {
    add_choice<Format>(app, "--format", format, {{"text", Format::text}, {"json", Format::json}},
                       "how to print the result (text)");
}

void add_spec(CLI::App& app, SpecOptions& options) {
    app.add_option("-f,--file", options.file, "the spec")->option_text("FILE")->capture_default_str();
    add_format(app, options.format);
}

void add_safe(CLI::App& app, SpecOptions& options) {
    add_spec(app, options);
    app.add_option("--state-dir", options.state_dir, "where what lasts of a safe lies")
        ->option_text("DIR")
        ->capture_default_str();
}

CLI::Option* add_mode(CLI::App& app, std::optional<specs::WantedMode>& mode, const std::string& help) {
    return add_choice<specs::WantedMode>(app, "--mode", mode,
                                         {{"auto", specs::WantedMode::automatic},
                                          {"open", specs::WantedMode::open},
                                          {"closed", specs::WantedMode::closed},
                                          {"locked", specs::WantedMode::locked}},
                                         help);
}

void add_password(CLI::App& app, std::optional<int>& descriptor) {
    app.add_option("--password-fd", descriptor, "read the password from this descriptor")->option_text("N");
}

}  // namespace safe::cli
