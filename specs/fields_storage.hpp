// The part of the table of fields that describes volumes.
#pragma once

#include "specs/reader.hpp"
#include "specs/spec.hpp"

namespace safe::specs {

[[nodiscard]] Fields<VolumeSpec> volume_fields();

}  // namespace safe::specs
