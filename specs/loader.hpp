// From files to a SafeSpec. The only part that knows YAML. Everything wrong is reported at once, in file order; a spec
// may come from a stranger, so size, depth, nodes, aliases and names are bounded and nothing but the files is touched.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "specs/diagnostic.hpp"
#include "specs/spec.hpp"

namespace safe::specs {

struct Loaded {
    std::optional<SafeSpec> spec;  // set when no error was found, by the loader and by the validator
    std::vector<Diagnostic> diagnostics;
};

/// Reads `path`, loads and validates. A file that cannot be read is a diagnostic too.
[[nodiscard]] Loaded load_file(const std::string& path);

/// The same for text at hand; `file` is the name that diagnostics carry and whose directory relative paths start from.
[[nodiscard]] Loaded load_text(std::string_view text, const std::string& file);

}  // namespace safe::specs
