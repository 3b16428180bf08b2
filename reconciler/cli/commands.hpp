// What the commands of safectl share. Every command returns an ExitCode and has printed what there is to say: results
// to standard output, what went wrong to standard error.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "reconciler/base/result.hpp"
#include "reconciler/cli/exit_code.hpp"
#include "reconciler/cli/output.hpp"
#include "reconciler/driver/places.hpp"
#include "reconciler/view/view.hpp"

namespace safe::cli {

enum class Format { text, json };

/// Which safe, and how its answers are printed.
struct SpecOptions {
    std::string file = "safe.yaml";
    Format format = Format::text;
    std::filesystem::path state_dir = "/var/lib/safe";  // of all safes
};

/// Loads and prints every diagnostic. nullopt when there was an error.
[[nodiscard]] std::optional<specs::SafeSpec> load(const SpecOptions& options);

/// The files still say what `spec` was read from: between that and now somebody may have sat at a prompt. Refused when
/// they do not.
[[nodiscard]] base::Result<void> still_says(const SpecOptions& options, const specs::SafeSpec& spec);

[[nodiscard]] driver::Places places_of(const specs::SafeSpec& spec, const SpecOptions& options);

/// The mode asked for on the command line, else the one in effect by the file and by what people want. What is locked,
/// by its file or by somebody, stays locked whatever is asked.
[[nodiscard]] base::Result<model::Mode> mode_of(const specs::SafeSpec& spec, const driver::Places& places,
                                                std::optional<specs::WantedMode> asked);

/// Colour when the stream is a terminal that wants it (NO_COLOR, TERM=dumb say no).
[[nodiscard]] view::Style style_of(int descriptor);

/// To standard error, as text or JSON.
void print_error(const base::Error& error, Format format);
/// The same, and the exit code that goes with it.
[[nodiscard]] ExitCode report_error(const base::Error& error, Format format);

}  // namespace safe::cli
