#include "reconciler/cli/schema.hpp"

#include <fmt/format.h>

#include "specs/schema.hpp"

namespace safe::cli {

ExitCode print_schema(bool reference) {
    fmt::print("{}", reference ? specs::reference_markdown() : specs::json_schema());
    return success;
}

}  // namespace safe::cli
