// Killed before and after every write, sync, rename and request to the directory: at each point, and again after the
// next run, exactly one of a member's two passwords both opens the vault and is taken by the directory, and nobody else
// is harmed. Against a real LUKS2 header and a real slapd. SAFE_FAULT_SHARE=k/n takes every n-th point from the k-th
// on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "reconciler/members/settle.hpp"
#include "tests/support/kill_point.hpp"
#include "tests/support/members/member_world.hpp"

namespace safe::members {
namespace {

using test::alices_password;
using test::bobs_password;
using test::MemberWorld;
using test::secret_of;

constexpr std::string_view next_password = "quiet river under bob";

class KillPoints : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = test::PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        world = std::make_unique<MemberWorld>();
    }

    using Work = std::function<base::Result<Done>(const Parts&)>;

    int run(const Work& work) const {
        const base::Result<Done> done = world->with_parts(work);
        if (!done) fmt::print(stderr, "{}\n", to_text(done.error()));
        return done && !done->waits ? 0 : 1;
    }
    void finish(const Work& work) const {
        const base::Result<Done> done = world->with_parts(work);
        ASSERT_TRUE(done) << to_text(done.error());
        ASSERT_FALSE(done->waits) << to_text(*done->waits);
    }

    static std::pair<int, int> share() {
        const char* text = std::getenv("SAFE_FAULT_SHARE");
        int k = 0;
        int n = 1;
        if (text != nullptr && std::sscanf(text, "%d/%d", &k, &n) != 2) ADD_FAILURE() << "SAFE_FAULT_SHARE is k/n";
        return {k % n, n};
    }

    /// `judge` is called after each kill; the world is then as the kill left it.
    void at_every_point(const Work& work, const std::function<void()>& judge) {
        world->put_back();
        const test::Traced whole = test::trace([&] { return run(work); });
        ASSERT_EQ(whole.status, 0) << "what nobody kills";
        ASSERT_GE(whole.calls, 15) << "too few points to prove much";
        const auto [first, stride] = share();
        int tried = 0;
        for (int point = 1 + first; point <= whole.calls; point += stride, ++tried) {
            SCOPED_TRACE(fmt::format("killed before call {} of {}", point, whole.calls));
            world->put_back();
            const test::Traced traced = test::trace([&] { return run(work); }, point);
            // Timing moves a call or two: what ran to its end is judged all the same.
            ASSERT_TRUE(traced.killed || traced.status == 0);
            MemberWorld::let_settle();
            judge();
            ASSERT_FALSE(HasFailure());
        }
        fmt::print("{} calls, {} points tried\n", whole.calls, tried);
    }

    std::unique_ptr<MemberWorld> world;
};

TEST_F(KillPoints, ChangingAPassword) {
    at_every_point(
        [](const Parts& parts) {
            return change_password(parts, "bob", secret_of(bobs_password), secret_of(next_password));
        },
        [this] {
            const int old_works = world->both("bob", bobs_password);
            ASSERT_EQ(old_works + world->both("bob", next_password), 1) << "before the next run";
            finish([](const Parts& parts) { return settle(parts.vault, parts.directory); });
            ASSERT_EQ(world->both("bob", bobs_password), old_works) << "the next run takes nobody's password away";
            ASSERT_EQ(world->both("bob", next_password), 1 - old_works);
            ASSERT_EQ(world->keyslots_of("bob"), 1U) << "the next run finishes";
            ASSERT_TRUE(old_works == 1 || world->nothing_left_over()) << "the key of the other password is gone";
            ASSERT_EQ(world->opens("bob", old_works == 1 ? next_password : bobs_password), false);
            ASSERT_EQ(world->both("alice", alices_password), 1);
        });
}

TEST_F(KillPoints, Enrolling) {
    const Work enrol_carol = [](const Parts& parts) {
        return enrol(parts, "carol", secret_of(MemberWorld::carols_password), "alice", secret_of(alices_password));
    };
    at_every_point(enrol_carol, [&] {
        ASSERT_EQ(world->both("alice", alices_password), 1);
        if (world->both("carol", MemberWorld::carols_password) == 0) {
            ASSERT_FALSE(world->binds("carol", MemberWorld::carols_password)) << "the directory comes last";
            finish(enrol_carol);
        }
        finish([](const Parts& parts) { return settle(parts.vault, parts.directory); });
        ASSERT_EQ(world->both("carol", MemberWorld::carols_password), 1);
        ASSERT_EQ(world->keyslots_of("carol"), 1U);
        ASSERT_EQ(world->both("bob", bobs_password), 1);
    });
}

TEST_F(KillPoints, Revoking) {
    const Work revoke_bob = [](const Parts& parts) { return revoke(parts, "bob"); };
    at_every_point(revoke_bob, [&] {
        const bool keyslot = world->keyslots_of("bob") > 0;
        ASSERT_TRUE(!keyslot || world->has_entry("bob")) << "the entry never goes before the keyslot";
        ASSERT_EQ(keyslot, world->opens("bob", bobs_password)) << "a keyslot that is there opens";
        if (keyslot || world->has_entry("bob")) finish(revoke_bob);
        ASSERT_EQ(world->keyslots_of("bob"), 0U);
        ASSERT_TRUE(world->nothing_left_over());
        ASSERT_FALSE(world->has_entry("bob"));
        ASSERT_EQ(world->slapd.ldapsearch(test::PrivateSlapd::base, "(memberUid=bob)", {"dn"}), "");
        ASSERT_EQ(world->both("alice", alices_password), 1);
    });
}

}  // namespace
}  // namespace safe::members
