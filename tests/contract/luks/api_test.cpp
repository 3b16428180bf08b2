// The same assertions against the kernel's device-mapper and against the fake that stands in for it where there is
// none.
#include <gtest/gtest.h>

#include "tests/support/luks/kernel_mapper.hpp"
#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

enum class Which { fake, kernel };

class LuksApi : public ::testing::TestWithParam<Which> {
 protected:
    void SetUp() override {
        if (GetParam() == Which::kernel && !kernel_can_map())
            GTEST_SKIP() << "this kernel has no device-mapper; the appliance has";
        if (GetParam() == Which::kernel) world.api = world.real;
        world.format_vault();
        image = world.header().take().value().image;
    }
    void TearDown() override {
        if (!IsSkipped()) static_cast<void>(world.api->deactivate(name, luks::Closing::gently));
    }

    luks::Outcome<int> activate(std::string_view password, bool read_only = false) {
        secret = secret_of(password);
        const luks::VaultToken token = luks::vault_token(world.header().take()->header).value();
        return world.api->activate(
            image,
            {.key = luks::MemberPassword{.user = "alice", .password = &secret, .salt = token.salt, .cost = token.cost},
             .slots = {0}},
            {.name = name, .device = world.disk("vault"), .read_only = read_only});
    }
    std::optional<luks::Mapping> mapping() {
        const std::vector<luks::Mapping> all = world.api->mappings().value();
        for (const luks::Mapping& found : all)
            if (found.name == name) return found;
        return std::nullopt;
    }

    VaultWorld world{"contract"};
    const std::string name = "safe-contract-vault";
    std::string image;
    base::Secret secret;
};

TEST_P(LuksApi, WhatIsActivatedIsListedWithTheHeadersUuidAndGoneWhenClosed) {
    EXPECT_FALSE(mapping());
    const auto slot = activate(alices_password);
    ASSERT_TRUE(slot) << to_text(slot.error().error);
    EXPECT_EQ(*slot, 0);
    ASSERT_TRUE(mapping());
    std::string uuid = world.header().look().header->uuid;
    std::erase(uuid, '-');
    EXPECT_EQ(mapping()->uuid, "CRYPT-LUKS2-" + uuid + "-" + name);
    EXPECT_FALSE(mapping()->read_only);
    EXPECT_FALSE(mapping()->suspended);
    EXPECT_EQ(mapping()->target, "crypt");
    EXPECT_FALSE(world.api->holds_file_system(name).value());
    ASSERT_TRUE(world.api->deactivate(name, luks::Closing::gently));
    EXPECT_FALSE(mapping());
    EXPECT_TRUE(world.api->deactivate(name, luks::Closing::gently)) << "twice is once";
}

TEST_P(LuksApi, AWrongKeyMapsNothing) {
    const auto slot = activate("guess");
    ASSERT_FALSE(slot);
    EXPECT_EQ(slot.error().code, luks::Failure::Code::wrong_key);
    EXPECT_FALSE(mapping());
}

TEST_P(LuksApi, ATakenNameIsSaidAndLeftAsItIs) {
    ASSERT_TRUE(activate(alices_password));
    const auto again = activate(alices_password);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, luks::Failure::Code::in_use);
    EXPECT_TRUE(mapping());
}

TEST_P(LuksApi, ReadOnlyIsReadOnly) {
    ASSERT_TRUE(activate(alices_password, true));
    ASSERT_TRUE(mapping());
    EXPECT_TRUE(mapping()->read_only);
}

INSTANTIATE_TEST_SUITE_P(Mappers, LuksApi, ::testing::Values(Which::fake, Which::kernel),
                         [](const auto& parameter) { return parameter.param == Which::fake ? "fake" : "kernel"; });

}  // namespace
}  // namespace safe::test
