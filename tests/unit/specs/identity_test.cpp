#include "specs/identity.hpp"

#include <gtest/gtest.h>

namespace safe::specs {
namespace {

// The expected values were computed by Python's uuid.uuid5 and hashlib: what is out in the world must never change.
TEST(Identity, IsTheSameForEver) {
    EXPECT_EQ(uuid_of("atlas", "desktop"), "56ae194c-a3ce-566f-a63a-9e9a2ce96e49");
    EXPECT_EQ(mac_of("atlas", "desktop"), "02:47:6e:ae:3f:57");
    EXPECT_EQ(tap_of("atlas", "desktop"), "sf476eae3f579a");
    EXPECT_EQ(uuid_of("atlas", ""), "f5e4e14d-eaba-5045-a6d4-4c60a7b0ea19");
    EXPECT_EQ(mac_of("atlas", ""), "02:7e:5f:d5:7c:f4");
}

TEST(Identity, FitsWhereItIsUsed) {
    EXPECT_LE(tap_of("atlas", "desktop").size(), 15U);
    EXPECT_NE(uuid_of("atlas", "desktop"), uuid_of("atla", "sdesktop"));
    EXPECT_NE(uuid_of("atlas", "desktop"), uuid_of("borea", "desktop"));
}

}  // namespace
}  // namespace safe::specs
