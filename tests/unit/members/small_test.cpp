#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconciler/members/back_off.hpp"
#include "reconciler/members/proof.hpp"
#include "reconciler/members/strength.hpp"
#include "tests/support/members/file_vault.hpp"
#include "tests/support/members/memory_attempts.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::members {
namespace {

using std::chrono::seconds;

TEST(BackOff, GrowsFromNothingToAQuarterOfAnHour) {
    for (const unsigned wrong : {0U, 1U, 2U, 3U}) EXPECT_EQ(delay_after(wrong), seconds(0));
    EXPECT_EQ(delay_after(4), seconds(2));
    EXPECT_EQ(delay_after(5), seconds(4));
    EXPECT_EQ(delay_after(12), seconds(512));
    EXPECT_EQ(delay_after(13), seconds(900));
    EXPECT_EQ(delay_after(4'000'000'000U), seconds(900));
}

TEST(BackOff, IsPerUserAndSource) {
    test::MemoryAttempts store;
    BackOff back_off(store, [] { return std::chrono::system_clock::time_point(std::chrono::hours(1)); });
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(back_off.admit("bob", "192.0.2.1"));
    EXPECT_FALSE(back_off.admit("bob", "192.0.2.1"));
    EXPECT_TRUE(back_off.admit("bob", "192.0.2.2"));
    EXPECT_TRUE(back_off.admit("alice", "192.0.2.1"));
}

TEST(BackOff, AClockThatWasSetBackMakesNobodyWaitLonger) {
    test::MemoryAttempts store;
    std::chrono::system_clock::time_point now{std::chrono::days(400)};
    BackOff back_off(store, [&] { return now; });
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(back_off.admit("alice", "local"));
    now -= std::chrono::days(1);
    EXPECT_FALSE(back_off.admit("alice", "local"));
    now += std::chrono::seconds(3);
    EXPECT_TRUE(back_off.admit("alice", "local"));
    EXPECT_EQ(store.kept("alice", "local").wrong, 5U) << "nothing was forgiven";
}

TEST(BackOff, WhatCouldNotBeTriedDoesNotCount) {
    test::MemoryAttempts store;
    BackOff back_off(store, [] { return std::chrono::system_clock::time_point(std::chrono::hours(1)); });
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(back_off.admit("bob", "local"));
        ASSERT_TRUE(back_off.was_not_tried("bob", "local"));
    }
    EXPECT_EQ(store.kept("bob", "local").wrong, 0U);
}

TEST(BackOff, WhoAsksWhetherToTryIsNotCountedAndWaitsLikeWhoTries) {
    test::MemoryAttempts store;
    BackOff back_off(store, [] { return std::chrono::system_clock::time_point(std::chrono::hours(1)); });
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(back_off.may_try("bob", "local"));
    EXPECT_EQ(store.kept("bob", "local").wrong, 0U);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(back_off.admit("bob", "local"));
    EXPECT_FALSE(back_off.may_try("bob", "local"));
    EXPECT_EQ(store.kept("bob", "local").wrong, 4U);
}

TEST(Proof, IsNotBegunWithoutMemoryForItAndCountsNothingThen) {
    test::MemoryAttempts store;
    const testing::TemporaryDirectory directory;
    test::FileVault vault(directory.path() / "header");
    const base::Secret password = base::Secret::copy_of(std::as_bytes(std::span(std::string_view("bob's")))).value();
    vault.format("bob", derive_keys(password, test::FileVault::derivation(), "bob")->luks);
    VaultHeader header = vault.read().value();
    for (const std::uint64_t memory : {std::uint64_t{1} << 50U, ~std::uint64_t{0}}) {
        header.derivation.cost.memory = memory;
        const auto proof = prove({vault, store}, header, "bob", password);
        ASSERT_FALSE(proof);
        EXPECT_THAT(to_text(proof.error()), ::testing::HasSubstr("out of memory"));
        EXPECT_THAT(to_text(proof.error()), ::testing::HasSubstr("MiB are free"));
        EXPECT_EQ(store.kept("bob", "local").wrong, 0U);
    }
}

TEST(Strength, HintsWithoutRepeating) {
    for (const char* weak : {"", "tiny", "aaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnop", "12345678901234567890",
                             "my Password of today!", "xX-Alice-2026-!?", "the atlas of 1931"}) {
        const auto hint = hint_about(weak, "alice", "atlas");
        ASSERT_TRUE(hint) << weak;
        if (std::string_view(weak).size() > 4) {
            EXPECT_EQ(hint->find(weak), std::string::npos);
        }
    }
    for (const char* strong : {"copper lantern walks uphill", "vT9$kq2!mZx7Lw"})
        EXPECT_FALSE(hint_about(strong, "alice", "atlas")) << strong;
}

}  // namespace
}  // namespace safe::members
