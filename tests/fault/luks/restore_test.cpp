// A restore that is killed: the same call again finishes it, and no other change takes away the only good copy; nor
// does a repair.
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

TEST_F(VaultOfThree, RepairingACopyOfTheHeaderLosesNoKeyOfWhichOnlyTheKeptHeaderHasAGoodCopy) {
    const auto [from, to] = area_of("carol");
    world.scribble("vault", from, std::string(to - from, 'x'));
    world.scribble("vault", 128 * luks::kibibyte + 4200, "x");  // the second copy of the header
    const auto repaired = world.apply(VaultWorld::vault_id, model::Action::change);
    ASSERT_TRUE(repaired) << to_text(repaired.error());
    EXPECT_EQ(world.header().look().damage, "");
    ASSERT_FALSE(opens("carol"));
    std::vector<std::filesystem::path> kept{world.header().store().kept_file()};
    for (const auto& [sequence, file] : world.header().store().backups()) kept.push_back(file);
    EXPECT_TRUE(std::ranges::any_of(kept, [&](const std::filesystem::path& file) {
        const auto image = world.header().take_file(file);
        if (!image) return false;
        const luks::Unlock carols{.key = luks::SubKey{&keys.at("carol")},
                                  .slots = luks::slots_of(image->header, "carol")};
        return !carols.slots.empty() && world.api->try_key(image->image, carols).has_value();
    }));
}

}  // namespace
}  // namespace safe::test
