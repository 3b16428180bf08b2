// Real LUKS2 headers on files: from a blank device to a vault, killed anywhere.
#include <gtest/gtest.h>

#include <fstream>

#include "plugins/luks/header_policy.hpp"
#include "tests/support/luks/vault_world.hpp"

namespace safe::test {
namespace {

using luks::Header;
using luks::Sighting;
using model::Action;

class Provisioning : public ::testing::Test {
 protected:
    VaultWorld world;
    const model::ResourceId vault = VaultWorld::vault_id;
    const model::ResourceId data = VaultWorld::data_id;

    template <class T>
    bool sees(const model::ResourceId& id) {
        return std::holds_alternative<T>(world.observe(id));
    }
    const Header header_now(std::string_view volume = "vault") { return world.header(volume).look().header.value(); }
};

TEST_F(Provisioning, ABlankDeviceBecomesAVaultWithOneSlotThatItsMemberOpens) {
    ASSERT_TRUE(sees<model::Absent>(vault));
    world.format_vault();
    const Sighting seen = world.header().look();
    ASSERT_EQ(seen.what, Sighting::What::ours) << to_text(seen.error);
    EXPECT_TRUE(luks::faults_of(*seen.header).empty());
    EXPECT_EQ(seen.header->subsystem, "safe:atlas/vault");
    EXPECT_EQ(seen.header->label, "");
    EXPECT_EQ(seen.header->copy_size, 128 * luks::kibibyte);
    EXPECT_EQ(luks::cipher_of(*seen.header), "aes-xts-plain64");
    EXPECT_EQ(luks::key_bits_of(*seen.header), 512U);
    EXPECT_GE(luks::room_in(*seen.header), 29);
    const auto users = luks::user_tokens(*seen.header);
    ASSERT_EQ(users.size(), 1U);
    EXPECT_EQ(users[0].user, "alice");
    EXPECT_EQ(users[0].generation, 1U);
    EXPECT_EQ(users[0].slots, std::vector{0});
    ASSERT_TRUE(luks::vault_token(*seen.header));
    EXPECT_EQ(luks::vault_token(*seen.header)->cost.memory, 32 * luks::mebibyte);
    EXPECT_TRUE(luks::has_provisioning_token(*seen.header));
    // Nothing is left to do, and done again nothing moves.
    const std::string before = world.content("vault");
    EXPECT_TRUE(sees<model::Present>(vault));
    EXPECT_TRUE(world.apply(vault, Action::add));
    EXPECT_EQ(world.content("vault"), before);
}

TEST_F(Provisioning, WithoutAKeyItWaitsAndSomebodyElsesKeyDoesNotBegin) {
    auto& driver = world.driver_of(model::Kind::container);
    const auto assess = [&] { return driver.classify(Action::add, world.desired(vault), model::Absent{}, {}); };
    EXPECT_EQ(assess().waits_for, "a key");
    world.give_key("bob", bobs_password);
    EXPECT_EQ(assess().waits_for, "a super-user's key");
    world.give_key("mallory", "x");
    EXPECT_EQ(assess().waits_for, "a super-user's key");
    const auto formatted = world.apply(vault, Action::add);
    ASSERT_FALSE(formatted);
    EXPECT_EQ(formatted.error().kind, base::Error::Kind::refused);
    EXPECT_TRUE(sees<model::Absent>(vault)) << "nothing was written";
    world.give_key("alice", alices_password);
    EXPECT_FALSE(assess().waits_for);
}

TEST_F(Provisioning, OnlyABlankDeviceIsFormatted) {
    world.give_key("alice", alices_password);
    for (const std::uint64_t offset : {std::uint64_t{0}, 512 * luks::kibibyte, VaultWorld::volume_size - 1}) {
        const std::string kept = world.content("vault");
        world.scribble("vault", offset, "x");
        EXPECT_TRUE(sees<model::Foreign>(vault)) << offset;
        EXPECT_FALSE(world.apply(vault, Action::add)) << offset;
        EXPECT_EQ(world.content("vault").at(offset), 'x');
        world.scribble("vault", 0, kept);
    }
    // A second header far inside, where the first was wiped.
    world.scribble("vault", 4 * luks::mebibyte, std::string_view("SKUL\xba\xbe", 6));
    EXPECT_FALSE(sees<model::Absent>(vault));
    EXPECT_FALSE(world.apply(vault, Action::add));
}

TEST_F(Provisioning, WithProvisionNeverABlankDeviceIsLeftAlone) {
    world.spec.volumes[0].provision = {specs::Provision::never};
    world.give_key("alice", alices_password);
    EXPECT_TRUE(sees<model::Foreign>(vault));
    EXPECT_FALSE(world.apply(vault, Action::add));
    EXPECT_EQ(world.content("vault").find_first_not_of('\0'), std::string::npos);
}

// The device after a kill at any point of the first write: some prefix of what is written, in the order of writing.
TEST_F(Provisioning, CutShortAnywhereItIsRedoneAndConverges) {
    world.format_vault();
    const std::string whole = world.content("vault");
    const std::string record_file = world.places().headers("vault") / "record.json";
    const std::string pending_file = world.places().headers("vault") / "pending.json";
    const std::uint64_t copy = 128 * luks::kibibyte;
    const std::uint64_t end = luks::end_of_areas(header_now());
    const std::string blank(end, '\0');
    struct Cut {
        std::string name;
        std::function<std::string(std::string)> device;  // from blank
    };
    const auto with = [&](std::string device, std::uint64_t from, std::uint64_t size) {
        return device.replace(from, size, whole.substr(from, size));
    };
    const std::vector<Cut> cuts{
        {"announced", [&](std::string d) { return d; }},
        {"claimed", [&](std::string d) { return with(std::move(d), 0, 512); }},
        {"areas half written", [&](std::string d) { return with(with(std::move(d), 0, 512), 2 * copy, 100000); }},
        {"first copy half written",
         [&](std::string d) { return with(with(std::move(d), 2 * copy, end - 2 * copy), 0, 4500); }},
        {"first copy written",
         [&](std::string d) { return with(with(std::move(d), 2 * copy, end - 2 * copy), 0, copy); }},
        {"second copy half written",
         [&](std::string d) { return with(with(std::move(d), 2 * copy, end - 2 * copy), 0, copy + 4200); }},
        {"all written, not recorded", [&](std::string d) { return with(std::move(d), 0, end); }},
    };
    const std::string record = base::read_file(record_file, 1U << 24U).value();
    for (const Cut& cut : cuts) {
        std::filesystem::remove(record_file);
        std::ofstream(pending_file) << record;
        std::filesystem::permissions(pending_file, std::filesystem::perms(0600));
        world.scribble("vault", 0, cut.device(blank));
        // As apply would: whatever is seen is brought to what is wanted.
        const model::Observation seen = world.observe(vault);
        ASSERT_FALSE(std::holds_alternative<model::Unknown>(seen))
            << cut.name << ": " << to_text(std::get<model::Unknown>(seen).error);
        ASSERT_FALSE(std::holds_alternative<model::Foreign>(seen)) << cut.name;
        const bool there = std::holds_alternative<model::Present>(seen);
        const auto applied = world.apply(vault, there ? Action::change : Action::add);
        ASSERT_TRUE(applied) << cut.name << ": " << to_text(applied.error());
        const Sighting after = world.header().look();
        ASSERT_EQ(after.what, Sighting::What::ours) << cut.name << to_text(after.error);
        EXPECT_EQ(after.damage, "") << cut.name;
        const auto opened = world.apply(VaultWorld::mapping_id, Action::add);
        EXPECT_TRUE(opened) << cut.name << ": " << to_text(opened.error());
        world.mapper->open.clear();
    }
}

TEST_F(Provisioning, OurMarkWithoutAKeyslotMayBeRedoneUnlessItIsOnRecord) {
    world.format_vault();
    Header stripped = header_now();
    stripped.metadata["keyslots"] = luks::Json::object();
    stripped.metadata["tokens"] = luks::Json::object();
    stripped.metadata["digests"]["0"]["keyslots"] = luks::Json::array();
    ++stripped.sequence;
    world.forge("vault", stripped);
    EXPECT_TRUE(sees<model::Unknown>(vault)) << "a provider who strips the keyslots does not get us to format";
    EXPECT_FALSE(world.apply(vault, Action::add));
    std::filesystem::remove_all(world.places().headers("vault"));
    EXPECT_TRUE(sees<model::Absent>(vault));
    ASSERT_TRUE(world.apply(vault, Action::add));
    EXPECT_TRUE(sees<model::Present>(vault));
}

TEST_F(Provisioning, ADataVolumesKeyIsInTheVaultBeforeItsContainerIs) {
    world.format_vault();
    EXPECT_FALSE(world.apply(data, Action::add)) << "the vault is not even open";
    EXPECT_FALSE(std::filesystem::exists(world.places().volume_key("vault", "data")));
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, Action::add));
    world.mapper->unmounted = {"safe-atlas-vault"};
    const auto unmounted = world.apply(data, Action::add);
    ASSERT_FALSE(unmounted) << "a key must not be written to the hypervisor's own disk";
    EXPECT_FALSE(std::filesystem::exists(world.places().volume_key("vault", "data")));
    world.mapper->unmounted.clear();
    const auto formatted = world.apply(data, Action::add);
    ASSERT_TRUE(formatted) << to_text(formatted.error());
    const auto file = world.places().volume_key("vault", "data");
    struct stat status{};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(status.st_size, 64);
    EXPECT_EQ(luks::object_in(header_now("data").metadata, "keyslots")["0"]["kdf"]["type"], "pbkdf2");
    ASSERT_TRUE(world.apply({model::Kind::mapping, "data"}, Action::add));
    EXPECT_TRUE(world.mapper->open.contains("safe-atlas-data"));
}

TEST_F(Provisioning, AKeyWithoutItsContainerIsUsedAndNotReplaced) {
    world.format_vault();
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, Action::add));
    const auto file = world.places().volume_key("vault", "data");
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << std::string(64, 'k');
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    ASSERT_TRUE(world.apply(data, Action::add));
    EXPECT_EQ(base::read_file(file, 100).value(), std::string(64, 'k'));
    EXPECT_TRUE(world.apply({model::Kind::mapping, "data"}, Action::add));
}

TEST_F(Provisioning, TheTokenGoesOnceTheFileSystemIsThereAndItsMakerHasSaidSo) {
    world.format_vault();
    const auto marker = world.folder.path() / "run/atlas/provisioning/vault";
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, Action::add));
    ASSERT_TRUE(std::filesystem::exists(marker)) << "opening a volume that is being provisioned allows mkfs";
    const auto provisioning = [&] {
        return std::get<model::Present>(world.observe(vault)).attributes.find("provisioning") != nullptr;
    };
    EXPECT_FALSE(provisioning()) << "no step before the file system is there";
    std::filesystem::remove(marker);
    EXPECT_FALSE(provisioning()) << "a marker that is gone alone says nothing";
    world.mapper->file_systems = {"safe-atlas-vault"};
    EXPECT_TRUE(provisioning());
    ASSERT_TRUE(world.apply(vault, Action::change));
    EXPECT_FALSE(provisioning());
    EXPECT_FALSE(luks::has_provisioning_token(header_now()));
    // From now on nothing allows mkfs any more.
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, Action::remove));
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, Action::add));
    EXPECT_FALSE(std::filesystem::exists(marker));
}

}  // namespace
}  // namespace safe::test
