// What people and programs are shown: one renderer a format, from model/ alone. Pure: the same plan gives the same
// text, byte for byte, without the time of day. JSON carries a version; its fields are described in docs/formats.md.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/model/plan.hpp"

namespace safe::view {

/// Where the text goes: colour only on a terminal.
struct Style {
    bool colour = false;
};

enum class Tone { add, change, remove, bad, warning, quiet, strong };
/// `text` in the terminal's colours (ECMA-48 SGR), or as it is.
[[nodiscard]] std::string paint(Tone tone, std::string_view text, const Style& style);

[[nodiscard]] std::string plan_text(const model::Plan& plan, const Style& style);
/// The lines that follow the live ones of an apply: what failed and why, what is left.
[[nodiscard]] std::string report_text(const model::Report& report, const Style& style);
/// "cannot …: …" and, on a line of its own, what to do next.
[[nodiscard]] std::string error_text(const base::Error& error, const Style& style);

[[nodiscard]] std::string plan_json(const model::Plan& plan);
[[nodiscard]] std::string report_json(const model::Report& report);

/// What goes to standard error as it comes about, a line each: errors, and what happens during an apply.
[[nodiscard]] std::string error_json(const base::Error& error);
/// A round begins, with so many steps.
[[nodiscard]] std::string round_json(int round, std::size_t steps);
[[nodiscard]] std::string started_json(const model::Step& step);
[[nodiscard]] std::string progress_json(const model::Step& step, std::string_view line);
[[nodiscard]] std::string end_json(const model::Outcome& outcome, std::chrono::milliseconds took);
[[nodiscard]] std::string waiting_json(const model::Held& deferred);

}  // namespace safe::view
