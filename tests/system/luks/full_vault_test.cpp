// A vault without room for the key of a new volume: a real, full file system in its place.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FullVault : public ::testing::Test {
 protected:
    void SetUp() override {
        world.format_vault();
        const auto opened = world.apply(VaultWorld::mapping_id, model::Action::add);
        ASSERT_TRUE(opened) << to_text(opened.error());
        fs::create_directories(place);
        ASSERT_EQ(::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=64k"), 0) << base::errno_text(errno);
        mounted = true;
        // To the last byte, and beyond: the stream's own buffer may not get there.
        std::ofstream(filler) << std::string(256 << 10U, 'x') << std::flush;
        struct statvfs room{};
        ASSERT_EQ(::statvfs(place.c_str(), &room), 0);
        ASSERT_EQ(room.f_bavail, 0U);
    }
    void TearDown() override {
        if (mounted) {
            EXPECT_EQ(::umount2(place.c_str(), 0), 0);
        }
    }
    std::vector<std::string> files_in_keys() const {
        std::vector<std::string> names;
        if (fs::exists(key.parent_path()))
            for (const auto& entry : fs::directory_iterator(key.parent_path()))
                names.push_back(entry.path().filename());
        return names;
    }

    VaultWorld world;
    const fs::path place = world.places().mount_point("vault");
    const fs::path filler = place / "filler";
    const fs::path key = world.places().volume_key("vault", "data");
    bool mounted = false;
};

TEST_F(FullVault, NoKeyNoVolumeAndWithRoomBoth) {
    const std::string before = world.content("data");
    for (int i = 0; i < 2; ++i) {
        const auto formatted = world.apply(VaultWorld::data_id, model::Action::add);
        ASSERT_FALSE(formatted);
        EXPECT_THAT(to_text(formatted.error()), HasSubstr("No space left on device"));
        EXPECT_THAT(files_in_keys(), IsEmpty()) << "not even half a key";
        EXPECT_EQ(world.content("data"), before);
        EXPECT_TRUE(std::holds_alternative<model::Absent>(world.observe(VaultWorld::data_id)));
    }
    fs::remove(filler);
    const auto formatted = world.apply(VaultWorld::data_id, model::Action::add);
    ASSERT_TRUE(formatted) << to_text(formatted.error());
    EXPECT_TRUE(std::holds_alternative<model::Present>(world.observe(VaultWorld::data_id)));
    EXPECT_EQ(files_in_keys(), std::vector<std::string>{key.filename()});
    const auto opened = world.apply({model::Kind::mapping, "data"}, model::Action::add);
    EXPECT_TRUE(opened) << to_text(opened.error());
}

}  // namespace
}  // namespace safe::test
