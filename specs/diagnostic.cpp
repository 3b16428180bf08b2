#include "specs/diagnostic.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace safe::specs {

std::string to_text(const Diagnostic& diagnostic) {
    const bool is_error = diagnostic.severity == Diagnostic::Severity::error;
    std::string text = to_text(diagnostic.at) + (is_error ? ": error: " : ": warning: ") + diagnostic.message;
    if (!diagnostic.help.empty()) text += "; " + diagnostic.help;
    return text;
}

void Diagnostics::error(const Position& at, std::string message, std::string help) {
    list_.push_back({Diagnostic::Severity::error, at, std::move(message), std::move(help)});
}

void Diagnostics::warning(const Position& at, std::string message, std::string help) {
    list_.push_back({Diagnostic::Severity::warning, at, std::move(message), std::move(help)});
}

bool Diagnostics::has_errors() const {
    return std::ranges::find(list_, Diagnostic::Severity::error, &Diagnostic::severity) != list_.end();
}

std::vector<Diagnostic> Diagnostics::sorted() const {
    std::vector<Diagnostic> list = list_;
    std::ranges::sort(list, {}, [](const Diagnostic& diagnostic) {
        return std::tie(diagnostic.at, diagnostic.severity, diagnostic.message, diagnostic.help);
    });
    const auto repetitions = std::ranges::unique(list);
    list.erase(repetitions.begin(), repetitions.end());
    return list;
}

}  // namespace safe::specs
