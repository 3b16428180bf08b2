// A vault with alice, bob and carol in it, on a file, that is put back as often as wanted: for killing what changes its
// header, before and after every write. SAFE_FAULT_SHARE=k/n takes every n-th point from the k-th on.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>

#include "plugins/luks/keyslot_areas.hpp"
#include "plugins/luks/vault_keys.hpp"
#include "reconciler/members/proof.hpp"
#include "tests/support/kill_point.hpp"
#include "tests/support/luks/vouch.hpp"

namespace safe::test {

class VaultOfThree : public ::testing::Test {
 protected:
    void SetUp() override {
        world.spec.users = {sample_user("alice", true), sample_user("bob", true), sample_user("carol", true)};
        world.format_vault();
        const auto header = vault()->read();
        ASSERT_TRUE(header) << to_text(header.error());
        for (const char* user : {"alice", "bob", "carol"})
            keys.emplace(user,
                         std::move(members::derive_keys(secret_of(password_of(user)), header->derivation, user)->luks));
        for (const char* user : {"bob", "carol"}) {
            const auto added = vault()->add(user, 1, keys.at(user), {{"alice", 1, 0}, keys.at("alice")});
            ASSERT_TRUE(added) << to_text(added.error());
        }
        keep();
    }

    static std::string_view password_of(const std::string& user) {
        return user == "alice" ? alices_password : bobs_password;
    }
    [[nodiscard]] std::unique_ptr<members::VaultKeys> vault() const {
        return luks::make_vault_keys(world.setting(), world.api);
    }

    /// As the world is now is how put_back() leaves it.
    void keep() {
        device_ = world.content("vault", areas_end);
        std::filesystem::remove_all(kept_folder());
        std::filesystem::copy(folder(), kept_folder(), std::filesystem::copy_options::recursive);
    }
    void put_back() const {
        world.scribble("vault", 0, device_);
        std::filesystem::remove_all(folder());
        std::filesystem::copy(kept_folder(), folder(), std::filesystem::copy_options::recursive);
    }

    [[nodiscard]] bool opens(const std::string& user) const {
        const auto opened = vault()->prove(user, keys.at(user));
        return opened && *opened;
    }
    [[nodiscard]] bool has_keyslot(const std::string& user) const {
        const auto header = vault()->read();
        EXPECT_TRUE(header) << to_text(header.error());
        return header && std::ranges::find(header->keyslots, user, &members::Keyslot::user) != header->keyslots.end();
    }
    [[nodiscard]] luks::Area area_of(const std::string& user) const {
        const luks::Header header = world.header().look().header.value();
        const int slot = luks::slots_of(header, user).front();
        const luks::Json& area = header.metadata.at("keyslots").at(std::to_string(slot)).at("area");
        const std::uint64_t from = luks::number_in(area, "offset").value();
        return {from, from + luks::number_in(area, "size").value()};
    }
    /// No byte of a key lies where no keyslot is.
    [[nodiscard]] bool nothing_left_over() const {
        const luks::Taken taken = world.header().take().value();
        return taken.image == luks::without_unused(taken.header, taken.image);
    }
    [[nodiscard]] std::map<std::string, std::string> backups() const {
        std::map<std::string, std::string> all;
        for (const auto& [sequence, file] : world.header().store().backups())
            all[file.filename()] = base::read_file(file, std::size_t{64} << 20U).value();
        return all;
    }

    /// `judge` is called after each kill; the world is then as the kill left it.
    void at_every_point(const std::function<bool()>& work, const std::function<void()>& judge) const {
        int first = 0;
        int stride = 1;
        const char* share = std::getenv("SAFE_FAULT_SHARE");
        ASSERT_TRUE(share == nullptr || std::sscanf(share, "%d/%d", &first, &stride) == 2) << "it is k/n";
        put_back();
        const auto run = [&] { return work() ? 0 : 1; };
        const Traced whole = trace(run);
        ASSERT_EQ(whole.status, 0) << "what nobody kills";
        ASSERT_GT(whole.calls, 70) << "an area alone is 63 blocks";
        for (int point = 1 + first % stride; point <= whole.calls; point += stride) {
            SCOPED_TRACE(fmt::format("killed before call {} of {}", point, whole.calls));
            put_back();
            ASSERT_TRUE(trace(run, point).killed);
            judge();
            ASSERT_FALSE(HasFailure());
        }
    }

    VaultWorld world;
    std::map<std::string, base::Secret> keys;

 private:
    static constexpr std::uint64_t areas_end = 10 * luks::mebibyte;
    [[nodiscard]] std::filesystem::path folder() const { return world.places().headers("vault"); }
    [[nodiscard]] std::filesystem::path kept_folder() const { return world.folder.path() / "kept"; }
    std::string device_;
};

}  // namespace safe::test
