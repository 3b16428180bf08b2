// Real headers, and what a provider or an accident may do to them. Every one of these tries to get past a check.
#include <gtest/gtest.h>

#include <functional>

#include "plugins/luks/header_policy.hpp"
#include "tests/support/luks/vouch.hpp"

namespace safe::test {
namespace {

using luks::Header;
using luks::Json;
using luks::Sighting;
using model::Action;

class HostileHeader : public ::testing::Test {
 protected:
    void SetUp() override { world.format_vault(); }

    VaultWorld world;
    const model::ResourceId vault = VaultWorld::vault_id;
    const model::ResourceId mapping = VaultWorld::mapping_id;

    Header header_now() { return world.header().look().header.value(); }

    /// Why it is unknown; fails the test when it is not.
    std::string why_unknown() {
        const model::Observation seen = world.observe(vault);
        const auto* unknown = std::get_if<model::Unknown>(&seen);
        EXPECT_NE(unknown, nullptr);
        return unknown != nullptr ? to_text(unknown->error) : "";
    }
    void expect_never_opened() {
        EXPECT_FALSE(world.apply(mapping, Action::add));
        EXPECT_TRUE(world.mapper->open.empty());
        EXPECT_FALSE(world.apply(vault, Action::add)) << "and never formatted either";
    }
    /// With the record made to agree, so that the policy alone stands in the way.
    void put_on_record(const Header& header) {
        const auto store = world.header().store();
        ASSERT_TRUE(store.announce(luks::record_of(header, std::nullopt)));
        ASSERT_TRUE(store.commit());
    }
};

TEST_F(HostileHeader, OneDamagedCopyIsSaidStillOpensAndIsRepaired) {
    const Header good = header_now();
    for (const std::uint64_t offset : {std::uint64_t{4200}, 128 * luks::kibibyte + 4200}) {
        world.scribble("vault", offset, "damage");
        const model::Observation seen = world.observe(vault);
        const auto* present = std::get_if<model::Present>(&seen);
        ASSERT_NE(present, nullptr);
        EXPECT_NE(present->facts.find("damage"), nullptr);
        EXPECT_NE(*model::get<std::string>(present->attributes, "header copies"), "both");
        ASSERT_TRUE(world.apply(mapping, Action::add)) << "one good copy opens";
        world.mapper->open.clear();
        const auto repaired = world.apply(vault, Action::change);
        ASSERT_TRUE(repaired) << to_text(repaired.error());
        EXPECT_TRUE(world.header().look().damage.empty());
        EXPECT_EQ(header_now().metadata, good.metadata);
    }
}

TEST_F(HostileHeader, BothDamagedIsUnknownAndTheBackupBringsItBack) {
    world.scribble("vault", 4200, "damage");
    world.scribble("vault", 128 * luks::kibibyte + 4200, "damage");
    const std::string why = why_unknown();
    EXPECT_NE(why.find("both copies are damaged"), std::string::npos) << why;
    EXPECT_NE(why.find("header.img"), std::string::npos) << why;
    EXPECT_NE(why.find("safectl header restore vault"), std::string::npos) << why;
    expect_never_opened();
    world.give_key("alice", "not her password");
    EXPECT_FALSE(restore_header(world, "vault")) << "root alone is not a member";
    world.give_key("alice", alices_password);
    const auto restored = restore_header(world, "vault");
    ASSERT_TRUE(restored) << to_text(restored.error());
    EXPECT_TRUE(world.apply(mapping, Action::add));
    const auto open = restore_header(world, "vault");
    EXPECT_FALSE(open) << "not under an open volume";
}

TEST_F(HostileHeader, AWipedHeaderIsUnknownNeverBlank) {
    world.scribble("vault", 0, std::string(9 * luks::mebibyte, '\0'));
    EXPECT_NE(why_unknown().find("it is gone"), std::string::npos);
    expect_never_opened();
    EXPECT_EQ(world.content("vault").find_first_not_of('\0'), std::string::npos);
}

TEST_F(HostileHeader, EachForgeryIsNamedAndRefusedEvenWhenTheRecordAgrees) {
    const auto slot = [](Json& metadata) -> Json& { return metadata["keyslots"]["0"]; };
    const auto segment = [](Json& metadata) -> Json& { return metadata["segments"]["0"]; };
    const auto argon2id = [&](Json& metadata, int passes, int memory) {
        Json& kdf = slot(metadata)["kdf"];
        kdf = {{"type", "argon2id"}, {"time", passes}, {"memory", memory}, {"cpus", 1}, {"salt", kdf["salt"]}};
    };
    struct Forgery {
        std::string said;
        std::function<void(Json&)> commit;
    };
    const std::vector<Forgery> forgeries{
        {"null cipher", [&](Json& m) { segment(m)["encryption"] = "cipher_null-ecb"; }},
        {"null cipher", [&](Json& m) { slot(m)["area"]["encryption"] = "cipher_null-ecb"; }},
        {"passes over", [&](Json& m) { argon2id(m, 4, 64 * 1024 * 1024); }},
        {"passes over", [&](Json& m) { argon2id(m, 1000000, 32 * 1024); }},
        {"passes over", [&](Json& m) { argon2id(m, 4, 8); }},
        {"iterations to open", [&](Json& m) { slot(m)["kdf"]["iterations"] = 1; }},
        {"iterations to open", [&](Json& m) { slot(m)["kdf"]["iterations"] = 2'000'000'000; }},
        {"derives the key", [&](Json& m) { slot(m)["kdf"]["type"] = "argon2i"; }},
        {"re-encryption under way",
         [&](Json& m) { m["config"]["requirements"]["mandatory"] = {"online-reencrypt-v2"}; }},
        {"re-encryption under way", [&](Json& m) { slot(m)["type"] = "reencrypt"; }},
        {"several data segments", [&](Json& m) { m["segments"]["1"] = segment(m); }},
        {"flags", [&](Json& m) { m["config"]["flags"] = {"allow-discards"}; }},
        {"flags", [&](Json& m) { segment(m)["flags"] = {"backup-final"}; }},
        {"integrity", [&](Json& m) { segment(m)["integrity"] = {{"type", "none"}}; }},
        {"impossible place", [&](Json& m) { slot(m)["area"]["offset"] = "0"; }},
        {"impossible place", [&](Json& m) { slot(m)["area"]["offset"] = "18446744073709551615"; }},
        {"impossible place", [&](Json& m) { segment(m)["offset"] = "4096"; }},
        {"another key", [&](Json& m) { m["digests"]["0"]["keyslots"] = Json::array(); }},
        {"no number of changes", [&](Json&) {}},
        {"not one volume key", [&](Json& m) { m["digests"]["1"] = m["digests"]["0"]; }},
    };
    const Header good = header_now();
    for (const Forgery& forgery : forgeries) {
        Header forged = good;
        forgery.commit(forged.metadata);
        // The next change would count on from it, over the end.
        forged.sequence += forgery.said == "no number of changes" ? UINT64_MAX - forged.sequence : 1;
        world.forge("vault", forged);
        put_on_record(forged);
        const std::string why = why_unknown();
        EXPECT_NE(why.find(forgery.said), std::string::npos) << forgery.said << ": " << why;
        expect_never_opened();
        EXPECT_FALSE(accept_header(world, "vault")) << "a key does not make it sound";
    }
}

TEST_F(HostileHeader, WhatDiffersFromTheRecordIsNamedAndAMembersKeyAcceptsIt) {
    Header changed = header_now();
    changed.metadata["tokens"].erase(luks::tokens_of(changed, "safe-provisioning").front());
    ++changed.sequence;
    world.forge("vault", changed);
    std::string why = why_unknown();
    EXPECT_NE(why.find("token"), std::string::npos) << why;
    EXPECT_NE(why.find("safectl header accept vault"), std::string::npos) << why;
    expect_never_opened();
    world.keys.clear();
    EXPECT_FALSE(accept_header(world, "vault")) << "without a key";
    world.give_key("alice", "wrong");
    EXPECT_FALSE(accept_header(world, "vault")) << "with a wrong one";
    why_unknown();
    world.give_key("alice", alices_password);
    const auto accepted = accept_header(world, "vault");
    ASSERT_TRUE(accepted) << to_text(accepted.error());
    EXPECT_TRUE(world.apply(mapping, Action::add));
}

TEST_F(HostileHeader, AnOlderHeaderIsNeverAcceptedAndNorIsAnotherVolumes) {
    const Header old = header_now();
    const std::string old_image = world.content("vault", 10 * luks::mebibyte);
    Header newer = old;
    newer.sequence += 5;
    world.forge("vault", newer);
    ASSERT_TRUE(accept_header(world, "vault"));
    world.scribble("vault", 0, old_image);
    EXPECT_NE(why_unknown().find("an older one"), std::string::npos);
    const auto replayed = accept_header(world, "vault");
    ASSERT_FALSE(replayed);
    EXPECT_EQ(replayed.error().kind, base::Error::Kind::refused);

    // Another vault, that the same password opens.
    VaultWorld other;
    other.format_vault();
    Header foreign = other.header().look().header.value();
    world.scribble("vault", 0, other.content("vault", 10 * luks::mebibyte));
    foreign.sequence = newer.sequence + 1;
    world.forge("vault", foreign);
    EXPECT_NE(why_unknown().find("UUID"), std::string::npos);
    EXPECT_FALSE(accept_header(world, "vault"));
    expect_never_opened();
}

TEST_F(HostileHeader, AStrippedTokenDoesNotDisownItsSlot) {
    Header stripped = header_now();
    const std::string token = luks::tokens_of(stripped, "safe-user").front();
    stripped.metadata["tokens"].erase(token);
    ++stripped.sequence;
    world.forge("vault", stripped);
    EXPECT_NE(why_unknown().find("token " + token + " is gone"), std::string::npos);
    const model::Observation seen = world.observe({model::Kind::keyslot, "vault/alice"});
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(seen)) << "unknown is never absent";
    EXPECT_EQ(luks::slots_of(stripped, "alice").size(), 0U);
    const auto record = world.header().store().record();
    ASSERT_TRUE(record && *record);
    EXPECT_EQ((*record)->slots.at("0"), "alice") << "the record knows whose it is";
}

/// Changes the device after it has been read and judged, while the key is being derived.
class Swapper final : public luks::Api {
 public:
    Swapper(std::shared_ptr<luks::Api> real, std::function<void()> swap)
        : real_(std::move(real)), swap_(std::move(swap)) {}
    luks::Outcome<std::string> format(const luks::Formatting& f, const luks::Key& k) override {
        auto made = real_->format(f, k);
        swap_();
        return made;
    }
    luks::Outcome<int> try_key(const std::string& i, const luks::Unlock& u) override { return real_->try_key(i, u); }
    luks::Outcome<std::string> add_keyslot(const std::string& i, const luks::Unlock& u, const luks::NewKeyslot& n,
                                           const luks::Edit& e) override {
        return real_->add_keyslot(i, u, n, e);
    }
    luks::Outcome<std::string> edit(const std::string& i, const luks::Edit& e) override {
        auto edited = real_->edit(i, e);
        swap_();
        return edited;
    }
    luks::Outcome<int> activate(const std::string& i, const luks::Unlock& u, const luks::Activation& a) override {
        swap_();
        image = i;
        return real_->activate(i, u, a);
    }
    luks::Outcome<void> deactivate(const std::string& n, luks::Closing how) override {
        return real_->deactivate(n, how);
    }
    base::Result<bool> resume(const std::string& name) override { return real_->resume(name); }
    base::Result<std::vector<luks::Mapping>> mappings() override { return real_->mappings(); }
    base::Result<bool> holds_file_system(const std::string& n) override { return real_->holds_file_system(n); }
    base::Result<bool> mounted(const std::string& n, const std::filesystem::path& p) override {
        return real_->mounted(n, p);
    }
    std::string image;

 private:
    std::shared_ptr<luks::Api> real_;
    std::function<void()> swap_;
};

TEST_F(HostileHeader, ChangedBetweenCheckAndUseWhatWasCheckedIsUsed) {
    const Header good = header_now();
    Header forged = good;
    forged.metadata["segments"]["0"]["encryption"] = "cipher_null-ecb";
    ++forged.sequence;
    const auto swapper = std::make_shared<Swapper>(world.api, [&] { world.forge("vault", forged); });
    world.api = swapper;
    world.renew();
    const auto opened = world.apply(mapping, Action::add);
    EXPECT_TRUE(opened) << to_text(opened.error());
    const base::Result<luks::Copies> used = luks::read_copies([&](std::uint64_t offset, std::uint64_t size) {
        return base::Result<std::string>(swapper->image.substr(offset, size));
    });
    ASSERT_TRUE(used && used->sound());
    EXPECT_EQ(luks::cipher_of(*used->header), "aes-xts-plain64");
    EXPECT_NE(why_unknown().find("null cipher"), std::string::npos) << "the next look sees it";
}

TEST_F(HostileHeader, ChangedWhileItIsBeingEditedNothingIsWritten) {
    ASSERT_TRUE(world.apply(mapping, Action::add));
    std::filesystem::remove(world.folder.path() / "run/atlas/provisioning/vault");
    world.mapper->file_systems = {"safe-atlas-vault"};
    Header other = header_now();
    other.sequence += 7;
    world.api = std::make_shared<Swapper>(world.api, [&] { world.forge("vault", other); });
    world.renew();
    const auto finished = world.apply(vault, Action::change);
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().kind, base::Error::Kind::refused);
    const auto device = luks::HeaderDevice::open(world.disk("vault"), luks::HeaderDevice::Access::read);
    EXPECT_EQ(device->read_copies()->header->sequence, other.sequence);
}

TEST(HostileDevice, SomethingAppearsOnTheBlankDeviceWhileTheKeyIsDerived) {
    VaultWorld world;
    world.api = std::make_shared<Swapper>(world.api, [&] { world.scribble("vault", 1000, "somebody's data"); });
    world.give_key("alice", alices_password);
    const auto formatted = world.apply(VaultWorld::vault_id, Action::add);
    ASSERT_FALSE(formatted);
    EXPECT_EQ(formatted.error().kind, base::Error::Kind::refused);
    EXPECT_EQ(world.content("vault").substr(1000, 15), "somebody's data");
    EXPECT_EQ(world.content("vault")[0], '\0');
}

}  // namespace
}  // namespace safe::test
