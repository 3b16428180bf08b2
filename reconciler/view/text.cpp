#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "reconciler/base/characters.hpp"
#include "reconciler/view/view.hpp"

namespace safe::view {
namespace {

using base::Error;
using base::printable;
using model::Action;
using model::Branch;
using model::Change;
using model::Held;
using model::Plan;
using model::Step;

Tone tone_of(Action action) {
    switch (action) {
        case Action::add:
            return Tone::add;
        case Action::change:
            return Tone::change;
        case Action::remove:
            return Tone::remove;
    }
    return Tone::strong;
}

std::string_view symbol_of(Action action) {
    switch (action) {
        case Action::add:
            return "+";
        case Action::change:
            return "~";
        case Action::remove:
            return "-";
    }
    return "?";
}

std::string plural(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

using Labels = std::map<std::string, std::string>;

/// What an entry is: by its label when it has one, by its keys when it is a branch of long values.
std::string entry_text(const std::string& key, const model::Value& value, const Labels& labels) {
    if (const auto label = labels.find(key); label != labels.end()) return printable(label->second);
    const Branch* branch = value.branch();
    if (branch == nullptr) return printable(to_text(value));
    std::string out;
    for (const model::Entry& entry : branch->entries()) out += (out.empty() ? "" : ", ") + printable(entry.key);
    return out;
}

std::string two_columns(std::string_view left, std::string_view right) {
    return right.empty() ? std::string(left) : fmt::format("{}  {}", left, right);
}

/// A side that a change does not have is printed as nothing.
const model::Value& side(const std::optional<model::Value>& value) {
    static const model::Value nothing{std::string()};
    return value ? *value : nothing;
}

std::string change_line(const Change& change, const Labels& labels, const Style& style) {
    const std::string path = printable(model::to_text(change.path));
    const auto text = [&](const model::Value& value) { return entry_text(change.path.back(), value, labels); };
    switch (change.what) {
        case Change::What::add:
            return paint(Tone::add, two_columns("+ " + path, text(side(change.after))), style);
        case Change::What::remove:
            return paint(Tone::remove, two_columns("- " + path, text(side(change.before))), style);
        case Change::What::change:
            return paint(Tone::change,
                         fmt::format("~ {}  {} → {}", path, printable(to_text(side(change.before))),
                                     printable(to_text(side(change.after)))),
                         style);
        case Change::What::move:
            return paint(Tone::change,
                         fmt::format("~ {}  moves from place {} to {}", path, to_text(side(change.before)),
                                     to_text(side(change.after))),
                         style);
    }
    return "";
}

constexpr std::string_view detail_indent = "        ";

/// A new resource is told by its summary; only lists whose order matters (firewall rules) are worth their lines.
std::string added_lists(const Step& step, const Style& style) {
    std::string out;
    for (const Change& change : step.changes) {
        const Branch* list = change.after ? change.after->branch() : nullptr;
        if (list == nullptr || !list->ordered()) continue;
        for (const model::Entry& entry : list->entries())
            out += fmt::format("{}{}\n", detail_indent,
                               change_line({.path = {entry.key}, .what = Change::What::add, .after = entry.value},
                                           step.labels, style));
    }
    return out;
}

struct Widths {
    std::size_t resource = 0;
    std::size_t verb = 0;
};

std::string step_lines(const Step& step, const Widths& widths, const Style& style) {
    std::string line = fmt::format("{} {:<{}}  {:<{}}  {}", symbol_of(step.action), printable(to_text(step.resource)),
                                   widths.resource, step.verb, widths.verb, printable(step.summary));
    while (line.ends_with(' ')) line.pop_back();
    std::string out = "  " + paint(tone_of(step.action), line, style);
    if (step.bracket) out += paint(Tone::quiet, fmt::format("  (for {})", printable(to_text(*step.bracket))), style);
    if (step.disruption != model::Disruption::none)
        out += paint(Tone::warning, fmt::format("  [{}]", model::to_text(step.disruption)), style);
    if (step.waits_for) out += paint(Tone::warning, fmt::format("  waits for {}", printable(*step.waits_for)), style);
    out += "\n";
    if (step.action == Action::change)
        for (const Change& change : step.changes)
            out += fmt::format("{}{}\n", detail_indent, change_line(change, step.labels, style));
    if (step.action == Action::add) out += added_lists(step, style);
    return out;
}

std::string cause_and_advice(const Error& error) {
    return printable(error.cause) +
           (error.advice.empty() ? "" : "\n" + std::string(detail_indent) + "→ " + printable(error.advice));
}

std::string held_lines(std::string_view title, Tone tone, const std::vector<Held>& held, const Style& style) {
    if (held.empty()) return "";
    std::string out = "\n" + paint(tone, title, style) + "\n";
    for (const Held& one : held)
        out += fmt::format("  {}{}  {}\n", printable(to_text(one.resource)),
                           one.on ? " on " + printable(to_text(*one.on)) : "", cause_and_advice(one.error));
    return out;
}

std::string dormant_line(const Plan& plan, const Style& style) {
    if (plan.dormant.empty()) return "";
    std::string names;
    for (const Held& one : plan.dormant) names += (names.empty() ? "" : ", ") + printable(to_text(one.resource));
    return "\n" + paint(Tone::quiet, fmt::format("put away while {}: {}", model::to_text(plan.mode), names), style) +
           "\n";
}

std::string refusal_lines(const Plan& plan, const Style& style) {
    if (plan.refusals.empty()) return "";
    const bool closes = std::ranges::any_of(plan.steps, &model::Step::closes);
    const std::string_view what = closes ? "refused: of this plan only what closes the safe may be applied"
                                         : "refused: nothing of this plan may be applied";
    std::string out = "\n" + paint(Tone::bad, what, style) + "\n";
    for (const model::Refusal& refusal : plan.refusals)
        out += fmt::format("  {}  {}\n", printable(refusal.subject), cause_and_advice(refusal.error));
    return out;
}

std::string header(const Plan& plan, const Style& style) {
    const std::size_t unknown = plan.unknown.size() + plan.blind.size();
    return fmt::format("{}   {}   {}\n",
                       paint(Tone::strong, fmt::format("safe {} → {}", plan.safe, model::to_text(plan.mode)), style),
                       paint(Tone::quiet, "spec " + plan.spec_digest.substr(0, 7), style),
                       unknown == 0 ? paint(Tone::quiet, "nothing unknown", style)
                                    : paint(Tone::bad, fmt::format("{} unknown", unknown), style));
}

bool is_clear(const Plan& plan) {
    return plan.steps.empty() && plan.unknown.empty() && plan.blind.empty() && plan.deferred.empty() &&
           plan.blocked.empty() && plan.refusals.empty();
}

std::string footer(const Plan& plan, const Style& style) {
    if (plan.steps.empty()) {
        return is_clear(plan) ? paint(Tone::add, "nothing to do", style) + "\n" : "no step can be planned\n";
    }
    std::array<std::size_t, 3> counts{};
    std::size_t waits = 0;
    for (const Step& step : plan.steps) {
        ++counts[static_cast<std::size_t>(step.action)];
        if (step.waits_for) ++waits;
    }
    std::string out =
        fmt::format("{}: {} to add, {} to change, {} to remove · disruption: {}", plural(plan.steps.size(), "step"),
                    counts[0], counts[1], counts[2], model::to_text(plan.disruption()));
    if (waits > 0) out += fmt::format(" · {} waiting for a person", waits);
    return paint(Tone::strong, out, style) + "\n";
}

}  // namespace

std::string paint(Tone tone, std::string_view text, const Style& style) {
    if (!style.colour) return std::string(text);
    static constexpr std::array<std::string_view, 7> codes{"32", "33", "31", "1;31", "33", "2", "1"};
    return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<std::size_t>(tone)], text);
}

std::string plan_text(const Plan& plan, const Style& style) {
    Widths widths;
    for (const Step& step : plan.steps) {
        widths.resource = std::max(widths.resource, printable(to_text(step.resource)).size());
        widths.verb = std::max(widths.verb, step.verb.size());
    }
    std::string out = header(plan, style);
    if (!plan.steps.empty()) out += "\n";
    for (const Step& step : plan.steps) out += step_lines(step, widths, style);
    out += refusal_lines(plan, style);
    out += held_lines("unknown", Tone::bad, plan.unknown, style);
    if (!plan.blind.empty()) {
        out += "\n" + paint(Tone::bad, "could not be listed", style) + "\n";
        for (const model::Blind& blind : plan.blind)
            out += fmt::format("  {}  {}\n", printable(blind.error.object), cause_and_advice(blind.error));
    }
    out += held_lines("deferred", Tone::warning, plan.deferred, style);
    out += held_lines("blocked", Tone::warning, plan.blocked, style);
    out += dormant_line(plan, style);
    if (!plan.orphaned.empty()) {
        out +=
            "\n" + paint(Tone::warning, "orphaned: left the file; kept, and still subject to the mode", style) + "\n";
        for (const model::ResourceId& id : plan.orphaned) out += fmt::format("  {}\n", printable(to_text(id)));
    }
    if (!plan.notes.empty()) out += "\n";
    for (const std::string& note : plan.notes) out += paint(Tone::warning, "note: ", style) + printable(note) + "\n";
    return out + "\n" + footer(plan, style);
}

std::string error_text(const Error& error, const Style& style) {
    Error without_advice = error;
    without_advice.advice.clear();
    std::string out = paint(Tone::bad, printable(to_text(without_advice)), style) + "\n";
    if (!error.advice.empty()) out += "    → " + printable(error.advice) + "\n";
    return out;
}

namespace {

/// What was not begun and is still to be done, and why; what failed has been said when it did.
std::string skipped_lines(const model::Report& report, const Style& style) {
    std::string out;
    for (const model::Outcome& outcome : report.outcomes) {
        const bool left = std::ranges::any_of(report.remaining.steps, [&](const Step& step) {
            return step.resource == outcome.resource && step.action == outcome.action;
        });
        if (outcome.what != model::Outcome::What::skipped || !left) continue;
        out += paint(Tone::warning,
                     fmt::format("  · {} {}  not begun: {}", outcome.verb, printable(to_text(outcome.resource)),
                                 outcome.error ? printable(outcome.error->cause) : ""),
                     style) +
               "\n";
    }
    return out;
}

}  // namespace

std::string report_text(const model::Report& report, const Style& style) {
    const auto done = static_cast<std::size_t>(std::ranges::count_if(
        report.outcomes, [](const model::Outcome& outcome) { return outcome.what == model::Outcome::What::done; }));
    const bool clear = is_clear(report.remaining);
    std::string out = skipped_lines(report, style);
    if (!clear)
        out += "\n" + paint(Tone::strong, "what is left:", style) + "\n\n" + plan_text(report.remaining, style) + "\n";
    out += paint(clear ? Tone::add : Tone::bad,
                 fmt::format("{} done{}, {}", plural(done, "step"),
                             report.rounds > 1 ? " in " + plural(static_cast<std::size_t>(report.rounds), "round") : "",
                             clear ? "nothing left to do" : "not everything is as asked"),
                 style) +
           "\n";
    if (report.interrupted) out += paint(Tone::warning, "interrupted: apply again to go on", style) + "\n";
    return out;
}

}  // namespace safe::view
