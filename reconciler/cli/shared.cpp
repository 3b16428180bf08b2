#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "reconciler/base/characters.hpp"
#include "reconciler/cli/people.hpp"
#include "specs/loader.hpp"

namespace safe::cli {

namespace {

std::string diagnostic_json(const specs::Diagnostic& diagnostic) {
    const bool is_error = diagnostic.severity == specs::Diagnostic::Severity::error;
    const nlohmann::ordered_json line{{"version", 1},
                                      {"kind", "diagnostic"},
                                      {"severity", is_error ? "error" : "warning"},
                                      {"file", diagnostic.at.file},
                                      {"line", diagnostic.at.line},
                                      {"column", diagnostic.at.column},
                                      {"message", diagnostic.message},
                                      {"help", diagnostic.help}};
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

std::optional<specs::SafeSpec> load(const SpecOptions& options) {
    specs::Loaded loaded = specs::load_file(options.file);
    for (const specs::Diagnostic& diagnostic : loaded.diagnostics)
        say_on(STDERR_FILENO, options.format == Format::json ? diagnostic_json(diagnostic)
                                                             : base::printable(to_text(diagnostic)) + "\n");
    return std::move(loaded.spec);
}

base::Result<void> still_says(const SpecOptions& options, const specs::SafeSpec& spec) {
    const specs::Loaded now = specs::load_file(options.file);
    if (now.spec && now.spec->digest == spec.digest) return {};
    return base::fail({.attempt = "go by",
                       .object = options.file,
                       .cause = now.spec ? "it was changed meanwhile" : "it was changed meanwhile, and has errors now",
                       .advice = "see that it says what you mean, and say it again",
                       .kind = base::Error::Kind::refused});
}

base::Result<model::Mode> mode_of(const specs::SafeSpec& spec, const driver::Places& places,
                                  std::optional<specs::WantedMode> asked) {
    const base::Result<intent::Snapshot> intent = intent::Store::read(places.state_dir());
    if (!intent) return base::fail(intent.error());
    const base::Result<intent::Effective> effective = effective_of(spec, *intent, *spec.mode);
    if (!effective) return base::fail(effective.error());
    if (!asked) return effective->mode;
    const base::Result<intent::Effective> as_asked = effective_of(spec, *intent, *asked);
    if (!as_asked) return base::fail(as_asked.error());
    // Whoever asks for a mode by name is not given another one.
    const model::Mode mode = *asked == specs::WantedMode::automatic ? as_asked->mode : intent::effective_mode(*asked);
    if (effective->mode == model::Mode::locked && mode != model::Mode::locked)
        return base::fail({.attempt = "use another mode than locked for",
                           .object = "safe " + *spec.safe,
                           .cause = effective->reasons.front(),
                           .advice = "a lock in the file is lifted by changing the file, any other by a super-user: "
                                     "safectl unlock --user NAME",
                           .kind = base::Error::Kind::refused});
    return mode;
}

driver::Places places_of(const specs::SafeSpec& spec, const SpecOptions& options) {
    return {*spec.safe, std::filesystem::absolute(options.state_dir) / *spec.safe};
}

view::Style style_of(int descriptor) {
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    const bool wanted =
        (no_colour == nullptr || *no_colour == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
    return {.colour = wanted && ::isatty(descriptor) == 1};
}

void print_error(const base::Error& error, Format format) {
    say_on(STDERR_FILENO,
           format == Format::json ? view::error_json(error) : view::error_text(error, style_of(STDERR_FILENO)));
}

ExitCode report_error(const base::Error& error, Format format) {
    if (error.kind == base::Error::Kind::interrupted) return interrupted;
    print_error(error, format);
    return error.kind == base::Error::Kind::refused ? refused : failure;
}

}  // namespace safe::cli
