// A plan that was looked at, kept to be applied later: the plan's JSON, and what it was made from. Applying it makes
// the plan anew and compares: the same spec, mode and world give the same plan byte for byte, so any difference means
// that something has moved on.
#pragma once

#include <optional>
#include <string>

#include "reconciler/base/result.hpp"
#include "reconciler/model/plan.hpp"
#include "specs/spec.hpp"

namespace safe::cli {

struct PlanFile {
    std::string spec_file;                  // absolute
    std::optional<specs::WantedMode> mode;  // as asked for on the command line
    std::string plan;                       // view::plan_json
};

/// Written whole or not at all: a temporary file beside it, then rename. Mode 0600.
[[nodiscard]] base::Result<void> write_plan_file(const std::string& path, const PlanFile& file);
[[nodiscard]] base::Result<PlanFile> read_plan_file(const std::string& path);

}  // namespace safe::cli
