// The driver of sessions on a storage and a host in memory: two volumes on one target, and a disk that is not ours.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/iscsi/fake_storage.hpp"
#include "tests/support/iscsi/session_world.hpp"

namespace safe::iscsi::test {

inline constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
inline constexpr const char* uuid = "0f0e0d0c-0b0a-4908-8706-050403020100";

class SessionDriver : public ::testing::Test {
 protected:
    SessionDriver() {
        storage.targets[sample_endpoint].units[1] = {{"VAULT1", "naa.6001", gib, uuid}};
        storage.targets[sample_endpoint].units[2] = {{"DATA2", "naa.6002", 4 * gib, std::nullopt}};
        storage.targets[sample_endpoint].units[9] = {{"OTHER9", "naa.6009", gib, std::nullopt}};
        restart();
    }

    /// A new program in the same world.
    void restart() {
        world.use(make_drivers(world.setting(), std::make_unique<FakeProber>(storage),
                               std::make_unique<FakeHost>(storage, "safe-atlas"), "/dev"));
    }
    void must(model::Mode mode) {
        const auto done = world.converge(mode);
        ASSERT_TRUE(done) << to_text(done.error());
        const auto again = world.converge(mode);
        ASSERT_TRUE(again) << to_text(again.error());
        EXPECT_EQ(*again, 0) << "applying twice changed something the second time";
    }
    std::string refusal(model::Mode mode = model::Mode::open) {
        const auto done = world.converge(mode);
        return done ? "" : to_text(done.error());
    }
    void expect_nothing_left() {
        EXPECT_TRUE(storage.sessions.empty());
        EXPECT_TRUE(storage.records.empty());
        EXPECT_FALSE(std::filesystem::is_symlink(world.link("vault")));
        EXPECT_FALSE(std::filesystem::is_symlink(world.link("data")));
    }

    FakeStorage storage;
    SessionWorld world{sample_endpoint};
};

}  // namespace safe::iscsi::test
