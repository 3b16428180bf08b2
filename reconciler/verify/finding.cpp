#include "reconciler/verify/finding.hpp"

#include <algorithm>

namespace safe::verify {
namespace {

bool is_ok(const Finding& finding) { return finding.verdict == Verdict::ok; }

}  // namespace

std::string_view to_text(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return "ok";
        case Verdict::fault:
            return "fault";
        case Verdict::unknown:
            return "unknown";
    }
    return "?";
}

void Lines::ok(std::string looked_at, std::string found) {
    lines_.push_back({subject_, Verdict::ok, std::move(looked_at), std::move(found)});
}

void Lines::fault(std::string looked_at, std::string found, std::string advice) {
    lines_.push_back({subject_, Verdict::fault, std::move(looked_at), std::move(found), std::move(advice)});
}

void Lines::unknown(std::string looked_at, const base::Error& error) {
    base::Error without_advice = error;
    without_advice.advice.clear();
    lines_.push_back({subject_, Verdict::unknown, std::move(looked_at), base::to_text(without_advice), error.advice});
}

bool Lines::clean() const { return std::ranges::all_of(lines_, is_ok); }

bool Report::proved() const { return !findings.empty() && std::ranges::all_of(findings, is_ok); }

}  // namespace safe::verify
