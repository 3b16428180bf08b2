// The whole way with the kernel's device-mapper: format, open, file system, key in the vault, a second volume, closed.
#include <gtest/gtest.h>

#include "plugins/luks/header_policy.hpp"
#include "reconciler/base/process.hpp"
#include "tests/support/luks/kernel_mapper.hpp"
#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

using model::Action;

class Kernel : public ::testing::Test {
 protected:
    void SetUp() override {
        if (!kernel_can_map()) GTEST_SKIP() << "this kernel has no device-mapper; the appliance has";
        world.api = world.real;
        world.format_vault();
    }
    void TearDown() override {
        if (IsSkipped()) return;
        static_cast<void>(base::run_process({"umount", vault_mount()}));
        for (const char* name : {"safe-kernel-data", "safe-kernel-vault"})
            static_cast<void>(world.api->deactivate(name, luks::Closing::gently));
    }
    std::string vault_mount() { return world.places().mount_point("vault"); }
    void run(const std::vector<std::string>& command) {
        const auto finished = base::run_process(command);
        ASSERT_TRUE(finished) << to_text(finished.error());
        ASSERT_EQ(finished->status, 0) << command.front() << ": " << finished->errors;
    }
    template <class T>
    bool sees(const model::ResourceId& id) {
        return std::holds_alternative<T>(world.observe(id));
    }

    VaultWorld world{"kernel"};
    const model::ResourceId vault = VaultWorld::mapping_id;
    const model::ResourceId data{model::Kind::mapping, "data"};
};

TEST_F(Kernel, FromBlankToOpenAndClosedAgain) {
    const auto opened = world.apply(vault, Action::add);
    ASSERT_TRUE(opened) << to_text(opened.error());
    ASSERT_TRUE(sees<model::Present>(vault));
    EXPECT_FALSE(world.apply(VaultWorld::data_id, Action::add)) << "the vault is not mounted";

    run({"mkfs.ext4", "-q", world.places().mapped("vault")});
    std::filesystem::create_directories(vault_mount());
    run({"mount", world.places().mapped("vault"), vault_mount()});
    std::filesystem::remove(world.folder.path() / "run/kernel/provisioning/vault");
    const auto finished = world.apply(VaultWorld::vault_id, Action::change);
    ASSERT_TRUE(finished) << to_text(finished.error());
    EXPECT_FALSE(luks::has_provisioning_token(world.header().look().header.value()))
        << "the header changes while its volume is open";

    const auto formatted = world.apply(VaultWorld::data_id, Action::add);
    ASSERT_TRUE(formatted) << to_text(formatted.error());
    ASSERT_TRUE(world.apply(data, Action::add));
    ASSERT_TRUE(sees<model::Present>(data));

    const auto held = world.apply(vault, Action::remove);
    ASSERT_FALSE(held) << "it is mounted";
    EXPECT_TRUE(sees<model::Present>(vault));
    ASSERT_TRUE(world.apply(data, Action::remove));
    run({"umount", vault_mount()});
    ASSERT_TRUE(world.apply(vault, Action::remove));
    EXPECT_TRUE(sees<model::Absent>(vault));
    EXPECT_TRUE(sees<model::Absent>(data));
}

TEST_F(Kernel, TheKeyIsNotInTheTableOfTheDevice) {
    ASSERT_TRUE(world.apply(vault, Action::add));
    const auto table = base::run_process({"dmsetup", "table", "--showkeys", "safe-kernel-vault"});
    ASSERT_TRUE(table) << to_text(table.error());
    ASSERT_EQ(table->status, 0) << table->errors;
    EXPECT_NE(table->output.find(":64:logon:cryptsetup:"), std::string::npos) << table->output;
}

TEST_F(Kernel, AForgedHeaderOnTheDeviceDoesNotReachTheKernel) {
    luks::Header forged = world.header().look().header.value();
    const luks::Taken taken = world.header().take().value();
    forged.metadata["segments"]["0"]["encryption"] = "cipher_null-ecb";
    world.forge("vault", forged);
    const auto ground = luks::Ground{world.setting(), world.api};
    const auto opened = world.api->activate(taken.image, ground.unlock(world.spec.volumes[0], taken.header).value(),
                                            {.name = "safe-kernel-vault", .device = world.disk("vault")});
    ASSERT_TRUE(opened) << to_text(opened.error().error);
    const auto table = base::run_process({"dmsetup", "table", "safe-kernel-vault"});
    EXPECT_NE(table->output.find("aes-xts-plain64"), std::string::npos) << table->output;
}

TEST_F(Kernel, ByForceTheKeyGoesFirstAndTheDeviceWhenItIsLetGo) {
    ASSERT_TRUE(world.apply(vault, Action::add));
    run({"mkfs.ext4", "-q", world.places().mapped("vault")});
    std::filesystem::create_directories(vault_mount());
    run({"mount", world.places().mapped("vault"), vault_mount()});
    const model::Step step{.resource = vault,
                           .action = Action::remove,
                           .verb = "close",
                           .summary = "",
                           .changes = {},
                           .labels = {},
                           .requires_done = {}};
    const auto forced = world.driver_of(model::Kind::mapping)
                            .apply(step, {.id = vault}, world.observe(vault), {.insistence = {.force = true}});
    ASSERT_FALSE(forced) << "never called closed while the device is there";
    EXPECT_NE(to_text(forced.error()).find("its key is wiped"), std::string::npos) << to_text(forced.error());
    const auto table = base::run_process({"dmsetup", "table", "--showkeys", "safe-kernel-vault"});
    EXPECT_NE(table->output.find("error"), std::string::npos) << table->output;
    EXPECT_EQ(table->output.find("crypt"), std::string::npos) << table->output;
    const auto seen = std::get<model::Present>(world.observe(vault));
    EXPECT_NE(*model::get<std::string>(seen.attributes, "state"), "active") << "nobody takes it for an open one";
    run({"umount", vault_mount()});
    ASSERT_TRUE(world.apply(vault, Action::remove));
    EXPECT_TRUE(sees<model::Absent>(vault));
}

}  // namespace
}  // namespace safe::test
