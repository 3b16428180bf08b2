// The driver with libiscsi and a real tgtd on loopback, on a host in memory: what a storage may do to us before the
// kernel is let near it. Runs natively, as root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/iscsi/fake_storage.hpp"
#include "tests/support/iscsi/private_tgtd.hpp"
#include "tests/support/iscsi/session_world.hpp"

namespace safe::iscsi {
namespace {

using model::Mode;
using safe::test::PrivateTgtd;
using ::testing::HasSubstr;

constexpr const char* uuid = "0f0e0d0c-0b0a-4908-8706-050403020100";

class Storage : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const std::string why = safe::test::no_tgtd(); !why.empty()) GTEST_SKIP() << why;
        tgtd = std::make_unique<PrivateTgtd>();
        world = std::make_unique<test::SessionWorld>(Endpoint{tgtd->portal(), PrivateTgtd::target});
        world->spec.volumes.pop_back();
        test::with_chap(world->spec.volumes[0], "atlas", test::secret_file(world->root() / "chap", "correct-horse-1"));
        furnish("VAULT1", 16);
        world->use(make_drivers(world->setting(), make_prober(), std::make_unique<test::FakeHost>(host, "safe-atlas")));
    }
    void furnish(const std::string& serial, int mib) {
        tgtd->add_target();
        tgtd->require_chap("atlas", "correct-horse-1");
        tgtd->add_unit(1, serial, mib);
        tgtd->put_luks_header(1, uuid);
    }
    void come_back_with(const std::string& serial, int mib) {
        tgtd->stop();
        tgtd->start();
        furnish(serial, mib);
    }
    /// The fake host takes what libiscsi found for what its kernel sees.
    std::string opened() {
        const auto found = make_prober()->probe({.address = {{tgtd->portal(), PrivateTgtd::target}, 1},
                                                 .initiator = "iqn.2026-01.org.example:test",
                                                 .chap = &chap});
        if (found) host.targets[{tgtd->portal(), PrivateTgtd::target}].units[1] = {found->identity};
        const auto done = world->converge(Mode::open);
        return done ? "" : to_text(done.error());
    }

    Chap chap{"atlas", base::Secret::copy_of(std::as_bytes(std::span(std::string_view("correct-horse-1")))).value()};
    test::FakeStorage host;
    std::unique_ptr<PrivateTgtd> tgtd;
    std::unique_ptr<test::SessionWorld> world;
};

TEST_F(Storage, TheSameDiskIsTakenAgainAfterTheStorageWasDown) {
    EXPECT_EQ(opened(), "");
    EXPECT_TRUE(world->converge(Mode::closed));
    come_back_with("VAULT1", 16);
    EXPECT_EQ(opened(), "");
    EXPECT_TRUE(world->attached("vault"));
}

TEST_F(Storage, AnotherSerialNumberIsRefused) {
    EXPECT_EQ(opened(), "");
    EXPECT_TRUE(world->converge(Mode::closed));
    come_back_with("EVIL", 16);
    EXPECT_THAT(opened(), HasSubstr("EVIL, and VAULT1 was recorded"));
    EXPECT_TRUE(host.sessions.empty());
}

TEST_F(Storage, AShrunkDiskIsRefused) {
    EXPECT_EQ(opened(), "");
    EXPECT_TRUE(world->converge(Mode::closed));
    come_back_with("VAULT1", 8);
    EXPECT_THAT(opened(), HasSubstr("8 MiB, and 16 MiB was recorded"));
}

TEST_F(Storage, AnotherHeaderIsRefused) {
    EXPECT_EQ(opened(), "");
    EXPECT_TRUE(world->converge(Mode::closed));
    tgtd->put_luks_header(1, "11111111-0b0a-4908-8706-050403020100");
    EXPECT_THAT(opened(), HasSubstr("11111111"));
    EXPECT_TRUE(host.sessions.empty());
}

TEST_F(Storage, AnotherSecretIsRefusedAndNeitherIsRepeated) {
    test::secret_file(world->root() / "chap", "battery-staple-2");
    const std::string why = opened();
    EXPECT_THAT(why, HasSubstr("Authentication failure"));
    EXPECT_THAT(why, ::testing::Not(HasSubstr("staple")));
    EXPECT_TRUE(host.records.empty());
}

}  // namespace
}  // namespace safe::iscsi
