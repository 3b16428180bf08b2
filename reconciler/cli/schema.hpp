// safectl schema: what an editor or a reviewer's tool needs to know of safe.yaml.
#pragma once

#include "reconciler/cli/exit_code.hpp"

namespace safe::cli {

/// The JSON Schema, or with `reference` the reference in Markdown, to standard output.
[[nodiscard]] ExitCode print_schema(bool reference);

}  // namespace safe::cli
