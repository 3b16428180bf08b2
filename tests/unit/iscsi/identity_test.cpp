#include "plugins/iscsi/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/temporary_directory.hpp"

namespace safe::iscsi {
namespace {

using ::testing::HasSubstr;

const Pinned pinned{{{"192.0.2.10:3260", "iqn.2026-01.org.example:atlas"}, 1},
                    {"VAULT1", "naa.6001", 4096, "0f0e0d0c-0b0a-4908-8706-050403020100"}};

class IdentityRecord : public ::testing::Test {
 protected:
    safe::testing::TemporaryDirectory directory;
    IdentityStore store{directory.path() / "atlas"};
};

std::string refusal(const Identity& found) {
    const auto same = compare("vault", pinned.identity, found, "/var/lib/safe/atlas/storage/vault.json");
    return same ? "" : to_text(same.error());
}

TEST_F(IdentityRecord, IsReadAsItWasWrittenAndBelongsToRoot) {
    EXPECT_EQ(store.load("vault").value(), std::nullopt);
    ASSERT_TRUE(store.save("vault", pinned));
    EXPECT_EQ(store.load("vault").value(), pinned);
    Pinned blank = pinned;
    blank.identity.luks = std::nullopt;
    ASSERT_TRUE(store.save("data", blank));
    EXPECT_EQ(store.load("data").value(), blank);
    EXPECT_EQ(store.all().value().size(), 2U);
    struct stat status{};
    ASSERT_EQ(::stat(store.path("vault").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(IdentityRecord, AForgedOneIsAnErrorThatNamesTheWayOut) {
    ASSERT_TRUE(store.save("vault", pinned));
    for (const char* text : {"", "{", "[]", "{\"version\": 2}", "{\"version\": 1, \"portal\": 7}"}) {
        std::ofstream(store.path("vault")) << text;
        const auto loaded = store.load("vault");
        ASSERT_FALSE(loaded) << text;
        EXPECT_THAT(to_text(loaded.error()), HasSubstr("remove the file"));
        EXPECT_TRUE(store.all().value().empty());
    }
}

TEST_F(IdentityRecord, ADirectoryThatCannotBeListedIsAnErrorAndNoAbsence) {
    EXPECT_TRUE(store.all().value().empty());
    std::filesystem::create_directories(directory.path() / "atlas");
    std::ofstream(directory.path() / "atlas" / "storage") << "no directory";
    EXPECT_FALSE(store.all());
}

TEST(Identity, TheSameOrGrownIsAccepted) {
    EXPECT_EQ(refusal(pinned.identity), "");
    Identity grown = pinned.identity;
    grown.capacity = 8192;
    EXPECT_EQ(refusal(grown), "");
    EXPECT_EQ(merged(pinned, grown).capacity, 8192U);
}

TEST(Identity, WhatDiffersIsRefusedWithBothAndAWayOut) {
    Identity other = pinned.identity;
    other.serial = "EVIL9";
    EXPECT_THAT(refusal(other), HasSubstr("EVIL9, and VAULT1 was recorded"));
    EXPECT_THAT(refusal(other), HasSubstr("remove /var/lib/safe/atlas/storage/vault.json"));
    other = pinned.identity;
    other.designator = "";
    EXPECT_THAT(refusal(other), HasSubstr("none, and naa.6001"));
    other = pinned.identity;
    other.capacity = 2048;
    EXPECT_THAT(refusal(other), HasSubstr("2 KiB, and 4 KiB"));
    other = pinned.identity;
    other.luks = "11111111-0b0a-4908-8706-050403020100";
    EXPECT_THAT(refusal(other), HasSubstr("11111111"));
    EXPECT_THAT(refusal(other), HasSubstr("safectl header accept"));
    other.luks = std::nullopt;
    EXPECT_THAT(refusal(other), HasSubstr("its LUKS header is gone"));
    EXPECT_THAT(refusal(other), HasSubstr("safectl header restore"));
}

TEST(Identity, AHeaderCountsFromWhenItIsFirstSeen) {
    Pinned blank = pinned;
    blank.identity.luks = std::nullopt;
    EXPECT_TRUE(compare("vault", blank.identity, pinned.identity, "record"));
    EXPECT_EQ(merged(blank, pinned.identity).luks, pinned.identity.luks);
    EXPECT_EQ(merged(std::nullopt, blank.identity).luks, std::nullopt);
}

}  // namespace
}  // namespace safe::iscsi
