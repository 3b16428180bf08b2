// The table of fields: every key of the language, once. Loader, JSON Schema and reference all come from it; a new key
// is a new entry in fields.cpp. Constant.
#pragma once

#include "specs/reader.hpp"
#include "specs/spec.hpp"

namespace safe::specs {

/// The keys of a spec.
[[nodiscard]] const Fields<SafeSpec>& spec_fields();

/// The same as a tree of what is said about them.
[[nodiscard]] const std::vector<FieldInfo>& spec_field_infos();

}  // namespace safe::specs
