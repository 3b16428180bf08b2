// The part of the table of fields that describes the directory and the members.
#pragma once

#include "specs/reader.hpp"
#include "specs/spec.hpp"

namespace safe::specs {

[[nodiscard]] Fields<DirectorySpec> directory_fields();
[[nodiscard]] Fields<UserSpec> user_fields();

}  // namespace safe::specs
