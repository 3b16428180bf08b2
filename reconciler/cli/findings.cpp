#include "reconciler/cli/findings.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "reconciler/base/characters.hpp"

namespace safe::cli {
namespace {

using verify::Finding;
using verify::Verdict;

constexpr int format_version = 1;

view::Tone tone_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return view::Tone::add;
        case Verdict::fault:
            return view::Tone::bad;
        case Verdict::unknown:
            return view::Tone::warning;
    }
    return view::Tone::bad;
}

/// Names of processes and devices are other people's: nothing of them may steer the terminal. What a program printed
/// has several lines.
std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    while (text.ends_with(' ')) text.pop_back();
    return base::printable(text);
}

std::size_t count(const verify::Report& report, Verdict verdict) {
    return static_cast<std::size_t>(std::ranges::count(report.findings, verdict, &Finding::verdict));
}

}  // namespace

std::string findings_text(const verify::Report& report, std::string_view proved, std::string_view failed,
                          const view::Style& style) {
    std::size_t widest = 0;
    for (const Finding& finding : report.findings) widest = std::max(widest, finding.subject.size());
    std::string out;
    for (const Finding& finding : report.findings) {
        out += fmt::format("{}  {:<{}}  {}\n",
                           paint(tone_of(finding.verdict), fmt::format("{:<7}", to_text(finding.verdict)), style),
                           finding.subject, widest, one_line(finding.found));
        const std::string indent(9 + widest + 2, ' ');
        out += indent + paint(view::Tone::quiet, "looked at " + one_line(finding.looked_at), style) + "\n";
        if (!finding.advice.empty()) out += fmt::format("{}→ {}\n", indent, one_line(finding.advice));
    }
    if (!report.unprotected.empty())
        out += "\n" + paint(view::Tone::strong, "What this state does not protect against", style) + "\n";
    for (const std::string& limit : report.unprotected) out += "  - " + one_line(limit) + "\n";
    const std::string counts =
        fmt::format("{} lines: {} ok, {} at fault, {} unknown", report.findings.size(), count(report, Verdict::ok),
                    count(report, Verdict::fault), count(report, Verdict::unknown));
    return out + "\n" +
           paint(report.proved() ? view::Tone::add : view::Tone::bad, report.proved() ? proved : failed, style) + "  " +
           paint(view::Tone::quiet, counts, style) + "\n";
}

std::string findings_json(const verify::Report& report, std::string_view kind) {
    using Json = nlohmann::ordered_json;
    Json out{{"version", format_version}, {"kind", kind}};
    if (!report.safe.empty()) out["safe"] = report.safe;
    if (kind == "verification") out["mode"] = model::to_text(report.mode);
    out["proved"] = report.proved();
    out["findings"] = Json::array();
    for (const Finding& finding : report.findings)
        out["findings"].push_back(Json{{"subject", finding.subject},
                                       {"verdict", to_text(finding.verdict)},
                                       {"looked_at", finding.looked_at},
                                       {"found", finding.found},
                                       {"advice", finding.advice}});
    if (kind == "verification") out["unprotected"] = report.unprotected;
    // Bytes that are no UTF-8 (a name of somebody's process) are replaced rather than thrown over.
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace safe::cli
