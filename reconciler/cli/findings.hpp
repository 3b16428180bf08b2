// How findings of verify and doctor are shown: text for people, JSON for programs (docs/schema). Pure.
#pragma once

#include <string>
#include <string_view>

#include "reconciler/verify/finding.hpp"
#include "reconciler/view/view.hpp"

namespace safe::cli {

/// A line a finding, those that are not ok with their way out; then what is not protected; last the verdict:
/// `proved` or `failed`, a sentence each.
[[nodiscard]] std::string findings_text(const verify::Report& report, std::string_view proved, std::string_view failed,
                                        const view::Style& style);

/// `kind` is "verification" or "diagnosis".
[[nodiscard]] std::string findings_json(const verify::Report& report, std::string_view kind);

}  // namespace safe::cli
