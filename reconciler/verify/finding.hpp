// Findings: one line each of what verify and doctor have to say: what was looked at, what was found, and what to do.
// Values; hold no secret.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/error.hpp"
#include "reconciler/model/resource.hpp"

namespace safe::verify {

/// What could not be looked at is unknown, and as bad as a fault: nothing is proved by not looking.
enum class Verdict { ok, fault, unknown };
[[nodiscard]] std::string_view to_text(Verdict verdict);

struct Finding {
    std::string subject;  // "mappings"
    Verdict verdict = Verdict::ok;
    std::string looked_at;  // a path, or a command with its arguments
    std::string found;
    std::string advice = {};  // what to do; empty when all is well
};

/// The findings on one subject, as they are gathered.
class Lines {
 public:
    explicit Lines(std::string subject) : subject_(std::move(subject)) {}

    void ok(std::string looked_at, std::string found);
    void fault(std::string looked_at, std::string found, std::string advice);
    void unknown(std::string looked_at, const base::Error& error);
    /// No fault and nothing unknown so far.
    [[nodiscard]] bool clean() const;
    /// All of them. Of many unknown ones with the same cause (every process, for somebody who is not root) the first
    /// tells how many more there are.
    [[nodiscard]] std::vector<Finding> take();

 private:
    std::string subject_;
    std::vector<Finding> lines_;
    std::map<std::string, std::vector<std::size_t>> unknown_;  // lines by cause
};

struct Report {
    std::string safe;  // empty: of the host alone
    model::Mode mode = model::Mode::closed;
    std::vector<Finding> findings;
    std::vector<std::string> unprotected = {};  // what even this state does not protect against

    /// Every line is ok, and there is at least one.
    [[nodiscard]] bool proved() const;
};

}  // namespace safe::verify
