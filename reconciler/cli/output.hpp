// What safectl says on its standard streams, in the order in which it is said. Whoever says something never waits for
// whoever reads: a reader that is slow, stopped or gone holds up no step and keeps no lock. A thread of its own writes;
// before the process ends, or asks something, it is waited for. Thread-safe.
#pragma once

#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>
#include <unistd.h>

#include <stop_token>
#include <string>
#include <utility>

#include "reconciler/base/result.hpp"

namespace safe::cli {

/// Said as a whole, or left out when a MiB waits for the reader already.
void say_on(int stream, std::string text);

/// On standard output.
template <class... T>
void say(fmt::format_string<T...> format, T&&... values) {
    say_on(STDOUT_FILENO, fmt::format(format, std::forward<T>(values)...));
}

/// A JSON document, indented. Bytes that are no UTF-8 are replaced rather than thrown over.
void say_document(const nlohmann::ordered_json& document);

/// Returns when all that was said is written; a few seconds after a stop is asked for, at the latest.
void wait_until_said(const std::stop_token& stop);

/// Once more at the end of a command. An Error when something of it could not be written, but for a reader that has
/// left.
[[nodiscard]] base::Result<void> end_of_output(const std::stop_token& stop);

}  // namespace safe::cli
