// Setting: all that a plugin may know before it is asked anything; what plugins/builtin.hpp hands to each. A reference,
// not an owner: spec and keys outlive the drivers.
#pragma once

#include "reconciler/driver/key_ring.hpp"
#include "reconciler/driver/places.hpp"
#include "specs/spec.hpp"

namespace safe::driver {

struct Setting {
    const specs::SafeSpec& spec;
    Places places;
    const KeyRing& keys;
};

}  // namespace safe::driver
