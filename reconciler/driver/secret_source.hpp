// Reads what a spec only refers to: a file that belongs to root with mode 0600, or a credential that systemd passed
// ($CREDENTIALS_DIRECTORY, systemd.exec(5)). Reads at every call and keeps nothing. Thread-safe.
#pragma once

#include "reconciler/base/secret.hpp"
#include "specs/values.hpp"

namespace safe::driver {

/// At most 4096 bytes, without one final line break. An Error that names the reference and never its content: missing,
/// not a regular file (links are not followed), another owner, a mode that lets others read, empty.
[[nodiscard]] base::Result<base::Secret> read_secret(const specs::SecretRef& reference);

}  // namespace safe::driver
