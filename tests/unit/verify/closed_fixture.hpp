// A safe that is closed, on a host in a folder, and what verify complains of. For one test; touches that folder alone.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/verify/fake_host.hpp"

namespace safe::verify::test {

class Closed : public ::testing::Test {
 protected:
    [[nodiscard]] Report look(model::Mode mode = model::Mode::closed) const {
        return verify(host.system(), spec, places, mode);
    }
    [[nodiscard]] std::vector<std::string> found(model::Mode mode = model::Mode::closed) const {
        return complaints(look(mode));
    }

    FakeHost host;
    specs::SafeSpec spec = atlas_spec();
    driver::Places places{"atlas", "/var/lib/safe/atlas"};
};

}  // namespace safe::verify::test
