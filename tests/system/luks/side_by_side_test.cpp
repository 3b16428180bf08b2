// Steps on one header that the executor carries out side by side.
#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>

#include "plugins/luks/vault_keys.hpp"
#include "reconciler/applying/rounds.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

/// Lets nobody go on before two are here; whoever stays alone goes on after a while.
class Rendezvous {
 public:
    void arrive() {
        std::unique_lock lock(mutex_);
        ++here_;
        changed_.notify_all();
        changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return here_ > 1; });
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int here_ = 0;
};

class SideBySide : public ::testing::Test {
 protected:
    void SetUp() override {
        world.spec.volumes.pop_back();
        world.format_vault();
        const auto keys = luks::make_vault_keys(world.setting(), world.api);
        const auto key_of = [&](const std::string& user, std::string_view password) {
            return std::move(members::derive_keys(secret_of(password), keys->read()->derivation, user)->luks);
        };
        const base::Secret alices = key_of("alice", alices_password);
        for (const char* user : {"bob", "carol"})
            ASSERT_TRUE(keys->add(user, 1, key_of(user, bobs_password), {{"alice", 1, 0}, alices}));
    }

    applying::Executed revoke_who_left() {
        applying::DriverSet drivers(luks::make_drivers(world.setting(), world.api));
        const applying::Goal goal{.spec = world.spec, .limits = {.allow_mass_removal = true}};
        const applying::Planned planned = applying::look_and_plan(goal, drivers, {});
        auto journal = applying::Journal::open(world.folder.path() / "journal.jsonl");
        applying::Listener listener;
        return applying::execute(
            planned.plan, planned.question.desired, {},
            {.drivers = drivers, .journal = *journal, .listener = listener, .stop = {}, .workers = 2});
    }

    VaultWorld world;
};

TEST_F(SideBySide, TwoWhoLeaveTheFileTogetherAreRevokedOneAfterTheOther) {
    Rendezvous both_have_taken_it;
    world.mapper->before_edit = [&] { both_have_taken_it.arrive(); };
    world.spec.users = {sample_user("alice", true)};
    const applying::Executed executed = revoke_who_left();
    ASSERT_EQ(executed.outcomes.size(), 2U);
    for (const model::Outcome& outcome : executed.outcomes)
        EXPECT_EQ(outcome.what, model::Outcome::What::done) << to_text(outcome.error.value_or(base::Error{}));
    const luks::Sighting seen = world.header().look();
    ASSERT_EQ(seen.what, luks::Sighting::What::ours) << to_text(seen.error);
    EXPECT_EQ(seen.damage, "");
    EXPECT_FALSE(world.header().store().pending().value());
    EXPECT_EQ(luks::slots_of(*seen.header, "bob"), std::vector<int>());
    EXPECT_EQ(luks::slots_of(*seen.header, "carol"), std::vector<int>());
    EXPECT_TRUE(world.apply(VaultWorld::mapping_id, model::Action::add)) << "alice opens";
}

}  // namespace
}  // namespace safe::test
