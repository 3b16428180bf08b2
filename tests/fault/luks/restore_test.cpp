// A restore that is killed: the same call again finishes it, and no other change takes away the only good copy.
#include "tests/fault/luks/vault_of_three.hpp"

namespace safe::test {
namespace {

class Restore : public VaultOfThree {
 protected:
    void SetUp() override {
        VaultOfThree::SetUp();
        for (const char* user : {"bob", "carol"}) {
            const auto [from, to] = area_of(user);
            world.scribble("vault", from, std::string(to - from, 'x'));
        }
        keep();
    }
    /// As `user passwd alice` does it first.
    [[nodiscard]] base::Result<members::Keyslot> change_alices_password() const {
        return vault()->add("alice", 2, keys.at("bob"), {{"alice", 1, 0}, keys.at("alice")});
    }
};

TEST_F(Restore, KilledAnywhereTheSameCallFinishesIt) {
    const auto restore = [this] {
        world.give_key("alice", alices_password);
        return restore_header(world, "vault");
    };
    at_every_point([&] { return restore().has_value(); },
                   [&] {
                       const auto changed = change_alices_password();
                       ASSERT_TRUE(changed || changed.error().kind == base::Error::Kind::refused)
                           << to_text(changed.error());
                       const auto restored = restore();
                       ASSERT_TRUE(restored) << to_text(restored.error());
                       ASSERT_TRUE(opens("alice") && opens("bob") && opens("carol"));
                       ASSERT_FALSE(world.header().store().pending().value());
                   });
}

TEST_F(Restore, NothingIsChangedWhileTheKeptHeaderIsTheLastGoodCopyOfAKey) {
    const std::string device = world.content("vault");
    const auto changed = change_alices_password();
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().kind, base::Error::Kind::refused);
    EXPECT_NE(changed.error().advice.find("header restore"), std::string::npos);
    EXPECT_EQ(world.content("vault") == device, true);
}

}  // namespace
}  // namespace safe::test
