// A volume that is open under another name: one that we opened and somebody renamed, and one that somebody opened.
#include <gtest/gtest.h>

#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

using model::Action;

class Renamed : public ::testing::Test {
 protected:
    void SetUp() override {
        world.format_vault();
        ASSERT_TRUE(world.apply(mapping, Action::add));
    }
    void rename(const std::string& to) {
        auto node = world.mapper->open.extract("safe-atlas-vault");
        node.key() = node.mapped().name = to;
        world.mapper->open.insert(std::move(node));
    }

    VaultWorld world;
    const model::ResourceId mapping = VaultWorld::mapping_id;
};

TEST_F(Renamed, WhatWeOpenedIsOursByAnyName) {
    rename("renamed");
    const auto seen = std::get<model::Present>(world.observe(mapping));
    EXPECT_EQ(*model::get<std::string>(seen.attributes, "name"), "renamed");
    EXPECT_FALSE(seen.attributes == world.desired(mapping).attributes);
    ASSERT_TRUE(world.apply(mapping, Action::change)) << "opened anew, under its own name";
    EXPECT_TRUE(world.mapper->open.contains("safe-atlas-vault"));
    rename("renamed");
    world.mapper->open.at("renamed").suspended = true;
    ASSERT_TRUE(world.apply(mapping, Action::remove));
    EXPECT_TRUE(world.mapper->open.empty());
    EXPECT_TRUE(std::holds_alternative<model::Absent>(world.observe(mapping)));
}

TEST_F(Renamed, WhatSomebodyOpenedByHandIsNotOursToCloseNorCalledClosed) {
    rename("rescue");
    std::string& uuid = world.mapper->open.at("rescue").uuid;
    uuid.replace(uuid.find("safe-atlas-vault"), std::string::npos, "rescue");
    const auto seen = world.observe(mapping);
    ASSERT_TRUE(std::holds_alternative<model::Unknown>(seen));
    EXPECT_NE(to_text(std::get<model::Unknown>(seen).error).find("`cryptsetup close rescue`"), std::string::npos);
    EXPECT_FALSE(world.apply(mapping, Action::remove));
    EXPECT_TRUE(world.mapper->open.contains("rescue"));
}

}  // namespace
}  // namespace safe::test
