#include "reconciler/base/error.hpp"

#include <system_error>

namespace safe::base {

std::string to_text(const Error& error) {
    std::string text = "cannot " + error.attempt;
    if (!error.object.empty()) text += " " + error.object;
    if (!error.cause.empty()) text += ": " + error.cause;
    if (!error.advice.empty()) text += "; " + error.advice;
    return text;
}

std::string errno_text(int error_number) { return std::generic_category().message(error_number); }

}  // namespace safe::base
