// What a spec must also satisfy beside its form: rules that no single value shows, because the domain knows them.
// Judges what is sound and passes over the rest, so that everything wrong is reported at once. Pure; bounded work.
#pragma once

#include "specs/diagnostic.hpp"
#include "specs/reader.hpp"
#include "specs/spec.hpp"

namespace safe::specs {

void validate(const SafeSpec& spec, const Unsound& unsound, Diagnostics& diagnostics);

}  // namespace safe::specs
