// safectl header backup and restore as whole commands: what must be proved, what is never written over, what is left
// behind; and restoring, killed at every point.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "plugins/luks/keyslot_areas.hpp"
#include "reconciler/applying/lock_file.hpp"
#include "tests/support/kill_point.hpp"
#include "tests/system/luks/header_commands.hpp"

namespace safe::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(HeaderCommands, BothCopiesScribbledOverAreRestoredAsTheyWereLastAndOpenAgain) {
    enrol_bob();
    const luks::Header last = header_now();
    scribble_over_both();
    const std::string damaged = world.content("vault", 9 * luks::mebibyte);
    EXPECT_EQ(safectl({"restore", "vault", "--user", "alice"}, "hunter2").code, 4);
    EXPECT_EQ(wrong_passwords_of("alice"), 1U);
    EXPECT_EQ(world.content("vault", 9 * luks::mebibyte), damaged) << "not a byte before a key has opened it";
    const Said restored = safectl({"restore", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(restored.code, 0) << restored.err;
    EXPECT_THAT(restored.out,
                AllOf(HasSubstr("both copies are damaged"), HasSubstr("compared with the record: the same"),
                      HasSubstr("not in the spec"), HasSubstr("bob")));
    EXPECT_EQ(header_now().metadata, last.metadata) << "not the backup from before bob";
    EXPECT_GT(header_now().sequence, last.sequence);
    EXPECT_TRUE(opens());
    const std::string replaced = base::read_file(kept("replaced-1.img"), std::size_t{64} << 20U).value();
    EXPECT_EQ(damaged.substr(0, replaced.size()), replaced) << "what lay there is kept";
    EXPECT_EQ(safectl({"restore", "vault"}).code, 0) << "nothing to do";
    EXPECT_FALSE(fs::exists(kept("replaced-2.img")));
}

TEST_F(HeaderCommands, AKeyslotAreaThatWasOverwrittenComesBackToo) {
    const auto area = *luks::number_in(header_now().metadata.at("keyslots").at("0").at("area"), "offset");
    world.scribble("vault", area, std::string(4096, 'x'));
    ASSERT_EQ(world.header().look().what, luks::Sighting::What::ours) << "the header itself is as it was";
    ASSERT_FALSE(opens());
    const Said restored = safectl({"restore", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(restored.code, 0) << restored.err;
    EXPECT_TRUE(opens());
}

TEST_F(HeaderCommands, BackedUpToANewFileOfRootsAndRestoredFromIt) {
    const fs::path file = world.folder.path() / "vault.header";
    EXPECT_EQ(safectl({"backup", "vault", "--out", file.string()}).code, 0);
    struct stat status{};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    const std::string content = base::read_file(file, std::size_t{64} << 20U).value();
    enrol_bob();
    const Said twice = safectl({"backup", "vault", "--out", file.string()});
    EXPECT_EQ(twice.code, 4) << "never over something";
    EXPECT_EQ(base::read_file(file, std::size_t{64} << 20U).value(), content);
    fs::create_symlink(world.folder.path() / "nowhere", world.folder.path() / "link");
    EXPECT_EQ(safectl({"backup", "vault", "--out", (world.folder.path() / "link").string()}).code, 4);
    EXPECT_EQ(safectl({"backup", "vault"}).code, 1) << "usage";

    // Back to the day before bob: by its name only.
    EXPECT_EQ(safectl({"restore", "vault"}).code, 0) << "nothing to do";
    const Said back = safectl({"restore", "vault", "--from", file.string(), "--user", "alice"}, alices_password);
    EXPECT_EQ(back.code, 0) << back.err;
    EXPECT_THAT(back.out, HasSubstr("keyslot 1 is gone"));
    EXPECT_FALSE(luks::object_in(header_now().metadata, "keyslots").contains("1"));
    EXPECT_TRUE(opens());

    const auto refused = [&](const fs::path& from) {
        const std::string device = world.content("vault");
        const Said said = safectl({"restore", "vault", "--from", from.string(), "--user", "alice"}, alices_password);
        EXPECT_EQ(world.content("vault"), device);
        EXPECT_NE(said.err, "");
        return said.code;
    };
    std::ofstream(world.folder.path() / "cut") << content.substr(0, content.size() - 1);
    EXPECT_EQ(refused(world.folder.path() / "cut"), 4);
    std::ofstream(world.folder.path() / "junk") << "junk";
    EXPECT_EQ(refused(world.folder.path() / "junk"), 4);
    EXPECT_EQ(refused(world.folder.path() / "missing"), 1);
    VaultWorld other;
    other.format_vault();
    std::ofstream(world.folder.path() / "others") << other.header().take()->image;
    EXPECT_EQ(refused(world.folder.path() / "others"), 4) << "another safe's of the same name, same password";
    VaultWorld beta("beta");
    beta.format_vault();
    std::ofstream(world.folder.path() / "betas") << beta.header().take()->image;
    EXPECT_EQ(refused(world.folder.path() / "betas"), 4) << "another mark";
}

TEST_F(HeaderCommands, AnOlderBackupThatIsRestoredDoesNotTakeAwayTheOnlyCopyOfTheNewestKey) {
    enrol_bob();
    const auto before_bob = world.header().store().backups();
    ASSERT_FALSE(before_bob.empty());
    world.scribble("vault", 0, std::string(9 * luks::mebibyte, '\0'));
    ASSERT_TRUE(bobs_key_is_kept());
    const std::vector<std::string> line{"restore", "vault", "--from", before_bob.back().second, "--user", "alice"};
    const Said restored = safectl(line, alices_password);
    ASSERT_EQ(restored.code, 0) << restored.err;
    ASSERT_FALSE(luks::object_in(header_now().metadata, "keyslots").contains("1"));
    EXPECT_TRUE(bobs_key_is_kept());
    const auto kept = world.header().store().backups();
    EXPECT_EQ(kept.size(), before_bob.size() + 1) << "none twice";
}

TEST_F(HeaderCommands, AHeaderThatIsAcceptedWithoutAKeyslotDoesNotTakeAwayTheOnlyCopyOfIt) {
    const luks::Header without = header_now();
    enrol_bob();
    luks::Header poorer = header_now();
    for (const char* part : {"keyslots", "tokens", "digests"}) poorer.metadata[part] = without.metadata.at(part);
    const auto [from, to] = luks::areas_of(header_now()).back();
    ++poorer.sequence;
    world.forge("vault", poorer);
    world.scribble("vault", from, std::string(to - from, 'x'));
    const Said accepted = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    ASSERT_EQ(accepted.code, 0) << accepted.err;
    EXPECT_THAT(accepted.out, HasSubstr("keyslot 1 is gone"));
    EXPECT_TRUE(bobs_key_is_kept());
}

TEST_F(HeaderCommands, WhereAnotherVolumeWasBeforeItsBackupsNeitherStandInTheWayNorAreOffered) {
    // The former volume, many changes old, and its record moved away as the error says.
    VaultWorld former;
    former.format_vault();
    luks::Header old = former.header().look().header.value();
    const std::string areas = former.header().take()->image.substr(2 * old.copy_size);
    fs::remove(kept("record.json"));
    for (old.sequence = 50; old.sequence < 58; ++old.sequence)
        ASSERT_TRUE(world.header().store().back_up(luks::render_both(old).value() + areas, old.sequence));
    ASSERT_TRUE(world.header().store().keep(luks::render_both(old).value() + areas));
    const std::uint64_t sequence = luks::HeaderDevice::open(world.disk("vault"), luks::HeaderDevice::Access::read)
                                       ->read_copies()
                                       ->header->sequence;
    const Said accepted = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    ASSERT_EQ(accepted.code, 0) << accepted.err;
    EXPECT_TRUE(fs::exists(kept(fmt::format("backup-{}.img", sequence)))) << "the one that was just written";
    EXPECT_TRUE(fs::exists(kept("backup-58.img"))) << "and the former's last, which was header.img";

    fs::remove(kept("header.img"));
    scribble_over_both();
    const std::string ours = kept(fmt::format("backup-{}.img", sequence));
    EXPECT_THAT(safectl({"list", "vault"}).out, HasSubstr(ours));
    EXPECT_THAT(world.header().look().error.advice, HasSubstr(ours));
    const Said restored = safectl({"restore", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(restored.code, 0) << restored.err;
    EXPECT_TRUE(opens());
}

TEST_F(HeaderCommands, NotUnderAnOpenVolumeHoweverItIsCalledNotWhileAnotherIsAtWorkNotForAStranger) {
    world.give_key("alice", alices_password);
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, model::Action::add));
    scribble_over_both();
    const std::string device = world.content("vault");
    const auto refused = [&](const std::vector<std::string>& arguments) {
        const Said said = safectl(arguments, alices_password);
        EXPECT_EQ(said.code, 4) << said.err;
        EXPECT_EQ(world.content("vault"), device);
        return said.err;
    };
    EXPECT_THAT(refused({"restore", "vault", "--user", "alice"}), HasSubstr("close the safe first"));
    auto renamed = world.mapper->open.extract("safe-atlas-vault");
    renamed.key() = renamed.mapped().name = "renamed";
    world.mapper->open.insert(std::move(renamed));
    EXPECT_THAT(refused({"restore", "vault", "--user", "alice"}), HasSubstr("close the safe first"));
    world.mapper->open.clear();
    {
        const auto lock = applying::LockFile::take(command_state() / "lock");
        ASSERT_TRUE(lock);
        EXPECT_THAT(refused({"restore", "vault", "--user", "alice"}), HasSubstr("is applying"));
        EXPECT_EQ(safectl({"backup", "vault", "--out", "never"}).code, 4);
    }
    refused({"accept", "nosuch", "--user", "alice"});
    fs::remove_all(kept(""));
    world.scribble("vault", 0, std::string(luks::mebibyte, '\0') + "somebody's data");
    world.scribble("vault", 128 * luks::kibibyte, std::string(4096, 'z'));
    const std::string strange = world.content("vault");
    EXPECT_EQ(safectl({"accept", "vault", "--user", "alice"}, alices_password).code, 1);
    EXPECT_EQ(world.content("vault"), strange);
}

TEST_F(HeaderCommands, WithoutARecordABackupIsNotWrittenOverWhatIsNotOurs) {
    const fs::path file = world.folder.path() / "vault.header";
    ASSERT_EQ(safectl({"backup", "vault", "--out", file.string()}).code, 0);
    fs::remove_all(kept(""));
    fs::resize_file(world.disk("vault"), 0);
    fs::resize_file(world.disk("vault"), VaultWorld::volume_size);
    world.scribble("vault", 1000, "somebody's data");
    const std::string device = world.content("vault");
    const std::vector<std::string> line{"restore", "vault", "--from", file.string(), "--user", "alice"};
    EXPECT_EQ(safectl(line, alices_password).code, 4);
    EXPECT_EQ(world.content("vault"), device);
    world.scribble("vault", 1000, std::string(15, '\0'));
    const Said blank = safectl(line, alices_password);
    EXPECT_EQ(blank.code, 0) << blank.err;
    EXPECT_TRUE(opens());
}

TEST_F(HeaderCommands, RestoringKilledAnywhereIsFinishedByTheNextRestore) {
    enrol_bob();
    const luks::Header last = header_now();
    scribble_over_both();
    const Kept kept_world(world);
    const auto restore = [&] {
        const luks::VolumeHeader header = world.header();
        const auto backup = header.take_file(header.store().best_copy());
        return backup && header.restore(*backup) ? 0 : 1;
    };
    const int points = trace(restore).calls;
    ASSERT_GT(points, 8);
    for (int point = 1; point <= points; ++point) {
        kept_world.put_back();
        ASSERT_TRUE(trace(restore, point).killed) << point;
        const luks::Sighting seen = world.header().look();
        EXPECT_TRUE(seen.what == luks::Sighting::What::ours || seen.what == luks::Sighting::What::unknown) << point;
        ASSERT_EQ(restore(), 0) << point;
        EXPECT_EQ(header_now().metadata, last.metadata) << point;
        EXPECT_EQ(world.header().store().record().value()->header.sequence, header_now().sequence) << point;
    }
    EXPECT_TRUE(opens());
}

}  // namespace
}  // namespace safe::test
