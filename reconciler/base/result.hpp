// Result<T>: a value or an Error. Exceptions are for bugs only; whatever third-party code throws is caught in the file
// that wraps it.
#pragma once

#include <expected>
#include <utility>

#include "reconciler/base/error.hpp"

namespace safe::base {

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace safe::base
