// The commands of safectl, one file each, and what they share. Every one returns an ExitCode and has printed what there
// is to say: results to standard output, what went wrong to standard error.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "reconciler/applying/rounds.hpp"
#include "reconciler/cli/cli.hpp"
#include "reconciler/cli/exit_code.hpp"
#include "reconciler/view/view.hpp"

namespace safe::cli {

enum class Format { text, json };

struct SpecOptions {
    std::string file = "safe.yaml";
    Format format = Format::text;
};

struct PlanOptions {
    SpecOptions spec;
    std::optional<specs::WantedMode> mode;
    std::filesystem::path state_dir = "/var/lib/safe";
    bool exit_code = false;
    std::optional<std::string> out;
};

struct ApplyOptions {
    SpecOptions spec;
    std::optional<specs::WantedMode> mode;
    std::filesystem::path state_dir = "/var/lib/safe";
    std::optional<std::string> plan_file;
    std::optional<model::Disruption> max_disruption;
    bool yes = false;
};

struct OpenOptions {
    SpecOptions spec;
    std::filesystem::path state_dir = "/var/lib/safe";
    std::string user;  // empty: nobody's key
    std::optional<int> password_fd;
};

struct CloseOptions {
    SpecOptions spec;
    std::filesystem::path state_dir = "/var/lib/safe";
};

[[nodiscard]] ExitCode validate(const SpecOptions& options);
[[nodiscard]] ExitCode plan(const PlanOptions& options, const Builtin& builtin, const std::stop_token& stop);
[[nodiscard]] ExitCode apply(const ApplyOptions& options, const Builtin& builtin, const std::stop_token& stop);
[[nodiscard]] ExitCode open(const OpenOptions& options, const Builtin& builtin, const std::stop_token& stop);
[[nodiscard]] ExitCode close(const CloseOptions& options, const Builtin& builtin, const std::stop_token& stop);

// --- shared

/// Loads and prints every diagnostic. nullopt when there was an error.
[[nodiscard]] std::optional<specs::SafeSpec> load(const SpecOptions& options);

/// The mode asked for on the command line, else in the file, made effective. A file that says locked is not overruled.
[[nodiscard]] base::Result<model::Mode> mode_of(const specs::SafeSpec& spec, std::optional<specs::WantedMode> asked);

/// Colour when the stream is a terminal that wants it (NO_COLOR, TERM=dumb say no).
[[nodiscard]] view::Style style_of(int descriptor);

/// To standard error, as text or JSON.
void print_error(const base::Error& error, Format format);

}  // namespace safe::cli
