// What the table of fields (specs/fields.hpp) says, for programs and for people. Pure; the same text for the same
// build.
#pragma once

#include <string>

namespace safe::specs {

/// The JSON Schema (draft 2020-12) of a spec, for editors and other programs: docs/safe.schema.json. It judges the form
/// of a spec as the loader does; what needs more than one value at a time, the validator alone judges.
[[nodiscard]] std::string json_schema();

/// Every key of the language, with type, default, meaning and example, as Markdown: docs/spec-reference.md.
[[nodiscard]] std::string reference_markdown();

}  // namespace safe::specs
