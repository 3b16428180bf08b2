#include "reconciler/cli/consent.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "reconciler/cli/typed_input.hpp"

namespace safe::cli {

base::Result<void> ask_consent(const Question& question, bool yes, Format format, const std::stop_token& stop) {
    if (yes) return {};
    const auto no = [&](std::string cause, std::string advice) {
        return base::fail(
            {question.attempt, question.object, std::move(cause), std::move(advice), base::Error::Kind::refused});
    };
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1 || format != Format::text)
        return no("nobody is there to confirm", question.otherwise);
    say("{} [y/N] ", question.text);
    wait_until_said(stop);
    std::string answer;
    for (char next = 0; next != '\n';) {
        if (base::Result<void> typed =
                wait_for_input(STDIN_FILENO, stop, question.attempt.c_str(), question.object.c_str());
            !typed) {
            say("\n");
            return typed;
        }
        // A line that is not finished is no answer.
        if (::read(STDIN_FILENO, &next, 1) != 1) return no("not confirmed", "");
        if (next != '\n') answer += next;
    }
    if (answer != "y" && answer != "yes") return no("not confirmed", "");
    return {};
}

}  // namespace safe::cli
