// What is wrong with a spec, all of it at once. A value.
#pragma once

#include <string>
#include <vector>

#include "specs/spec.hpp"

namespace safe::specs {

struct Diagnostic {
    enum class Severity { error, warning };
    Severity severity = Severity::error;
    Position at;
    std::string message;  // "no VM, zone or address is called desktpo"
    std::string help;     // "did you mean desktop?"; may be empty
    bool operator==(const Diagnostic&) const = default;
};

/// "safe.yaml:12:3: error: no VM, zone or address is called desktpo; did you mean desktop?"
[[nodiscard]] std::string to_text(const Diagnostic& diagnostic);

/// Collects; in the order of the files' positions when taken out.
class Diagnostics {
 public:
    void error(const Position& at, std::string message, std::string help = {});
    void warning(const Position& at, std::string message, std::string help = {});
    [[nodiscard]] bool has_errors() const;
    /// Sorted by position, without repetitions.
    [[nodiscard]] std::vector<Diagnostic> sorted() const;

 private:
    std::vector<Diagnostic> list_;
};

}  // namespace safe::specs
