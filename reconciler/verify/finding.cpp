#include "reconciler/verify/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

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
    unknown_[error.cause].push_back(lines_.size());
    lines_.push_back({subject_, Verdict::unknown, std::move(looked_at), base::to_text(without_advice), error.advice});
}

std::vector<Finding> Lines::take() {
    constexpr std::size_t few = 3;
    std::set<std::size_t> left_out;
    for (const auto& [cause, places] : unknown_) {
        if (places.size() <= few) continue;
        lines_[places.front()].found += fmt::format(", and {} more like it", places.size() - 1);
        left_out.insert(places.begin() + 1, places.end());
    }
    std::vector<Finding> taken;
    for (std::size_t i = 0; i < lines_.size(); ++i)
        if (!left_out.contains(i)) taken.push_back(std::move(lines_[i]));
    return taken;
}

bool Lines::clean() const { return std::ranges::all_of(lines_, is_ok); }

bool Report::proved() const { return !findings.empty() && std::ranges::all_of(findings, is_ok); }

}  // namespace safe::verify
