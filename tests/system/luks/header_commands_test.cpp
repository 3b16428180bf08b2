// safectl header as whole commands, on real LUKS2 headers in plain files: who must prove what, what is refused, what is
// left behind; and restoring and accepting, killed at every point.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <array>

#include "plugins/luks/vault_keys.hpp"
#include "reconciler/applying/lock_file.hpp"
#include "reconciler/cli/cli.hpp"
#include "reconciler/intent/store.hpp"
#include "tests/support/kill_point.hpp"
#include "tests/support/luks/vouch.hpp"

namespace safe::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Said {
    int code = -1;
    std::string out;
    std::string err;
};

class HeaderCommands : public ::testing::Test {
 protected:
    void SetUp() override {
        world.format_vault();
        write_spec("alice: { name: Alice, super: true }");
    }

    void write_spec(const std::string& users, const std::string& data = "") const {
        std::ofstream(spec_file()) << "version: 1\nsafe: atlas\nnetwork: { bridge: br-atlas, address: 10.77.0.1/24 }\n"
                                   << "directory: { ldap: 'ldapi:///', base: 'dc=example,dc=org' }\n"
                                   << "volumes:\n  vault: { role: vault, file: '" << world.disk("vault") << "' }\n"
                                   << "  data: { role: data, "
                                   << (data.empty() ? "file: '" + world.disk("data") + "'" : data) << " }\n"
                                   << "users: { " << users << " }\n";
    }
    [[nodiscard]] fs::path spec_file() const { return world.folder.path() / "safe.yaml"; }
    [[nodiscard]] fs::path command_state() const { return world.folder.path() / "all" / "atlas"; }
    [[nodiscard]] fs::path kept(const std::string& name, const std::string& volume = "vault") const {
        return world.places().headers(volume) / name;
    }

    [[nodiscard]] Said safectl(std::vector<std::string> arguments, std::string_view password = {}) {
        std::array<int, 2> pipe{};
        if (::pipe(pipe.data()) != 0) throw std::runtime_error("pipe");
        const std::string line = std::string(password) + "\n";
        if (::write(pipe[1], line.data(), line.size()) < 0) throw std::runtime_error("write");
        ::close(pipe[1]);
        arguments.insert(arguments.begin(), {"safectl", "header"});
        for (const std::string& more : {std::string("-f"), spec_file().string(), std::string("--state-dir"),
                                        command_state().parent_path().string()})
            arguments.push_back(more);
        if (!password.empty()) {
            arguments.emplace_back("--password-fd");
            arguments.push_back(std::to_string(pipe[0]));
        }
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        const cli::Builtin builtin{
            .make_drivers = [](const driver::Setting&) { return std::vector<std::unique_ptr<driver::Driver>>(); },
            .missing_plugins = [](const specs::SafeSpec&) { return std::vector<model::Refusal>(); },
            .discard_state = nullptr,
            .make_vault_keys = nullptr,
            .make_directory = nullptr,
            .make_header_care =
                [this](const driver::Setting& setting, const std::string& volume) {
                    return luks::make_header_care({setting.spec, world.places(), setting.keys}, volume, world.api);
                }};
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        Said said;
        said.code = cli::run(static_cast<int>(argv.size()), argv.data(), builtin);
        std::fflush(stdout);
        said.out = ::testing::internal::GetCapturedStdout();
        said.err = ::testing::internal::GetCapturedStderr();
        ::close(pipe[0]);
        return said;
    }

    luks::Header header_now(const std::string& volume = "vault") { return world.header(volume).look().header.value(); }
    /// Another token in the header, as another tool or another hypervisor would leave it.
    void meddle(const std::string& volume = "vault") {
        luks::Header changed = header_now(volume);
        changed.metadata["tokens"]["9"] = {{"type", "note"}, {"keyslots", luks::Json::array()}};
        ++changed.sequence;
        world.forge(volume, changed);
    }
    void scribble_over_both(const std::string& volume = "vault") {
        world.scribble(volume, 4200, "damage");
        world.scribble(volume, 128 * luks::kibibyte + 4200, "damage");
    }
    bool opens(std::string_view password = alices_password) {
        world.give_key("alice", password);
        const bool opened = world.apply(VaultWorld::mapping_id, model::Action::add).has_value();
        world.mapper->open.clear();
        return opened;
    }
    void enrol_bob() {
        const auto keys = luks::make_vault_keys(world.setting(), world.api);
        const auto header = keys->read();
        ASSERT_TRUE(header);
        const auto key = [&](const std::string& user, std::string_view password) {
            return std::move(members::derive_keys(secret_of(password), header->derivation, user)->luks);
        };
        const base::Secret alices = key("alice", alices_password);
        const auto added = keys->add("bob", 1, key("bob", bobs_password), {{"alice", 1, 0}, alices});
        ASSERT_TRUE(added) << to_text(added.error());
    }
    [[nodiscard]] unsigned wrong_passwords_of(const std::string& user) const {
        return intent::Store::open(command_state())->wrong_passwords(user, "local")->count;
    }

    VaultWorld world;
};

TEST_F(HeaderCommands, AChangedHeaderIsShownAndAcceptedWithAMembersKeyOnly) {
    meddle();
    ASSERT_EQ(world.header().look().what, luks::Sighting::What::unknown);
    EXPECT_THAT(safectl({"list", "vault"}).out, HasSubstr("token 9 is new"));
    const Said nobody = safectl({"accept", "vault"});
    EXPECT_EQ(nobody.code, 4);
    EXPECT_THAT(nobody.err, HasSubstr("--user"));
    EXPECT_EQ(safectl({"accept", "vault", "--user", "mallory"}, alices_password).code, 4) << "not in the spec";
    const Said wrong = safectl({"accept", "vault", "--user", "alice"}, "hunter2");
    EXPECT_EQ(wrong.code, 4);
    EXPECT_THAT(wrong.out, HasSubstr("token 9 is new"));
    EXPECT_EQ(wrong_passwords_of("alice"), 1U) << "counted";
    EXPECT_EQ(world.header().look().what, luks::Sighting::What::unknown) << "and nothing recorded";

    const Said accepted = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(accepted.code, 0) << accepted.err;
    EXPECT_THAT(accepted.out, AllOf(HasSubstr("token 9 is new"), HasSubstr("alice (0)"), HasSubstr("on record")));
    EXPECT_EQ(wrong_passwords_of("alice"), 0U);
    EXPECT_TRUE(opens());
    const Said again = safectl({"accept", "vault"});
    EXPECT_EQ(again.code, 0) << "nothing to do, and nobody is asked";
}

TEST_F(HeaderCommands, ANewKeyslotIsNoOtherVolumeKeyAndAKnownHeaderIsAcceptedOnANewHypervisor) {
    const luks::Json before = luks::Json::parse(base::read_file(kept("record.json"), 1 << 20).value());
    enrol_bob();
    write_spec("alice: { name: Alice, super: true }, bob: { name: Bob }");
    // As if bob had been enrolled elsewhere.
    std::ofstream(kept("record.json")) << before.dump();
    const Said accepted = safectl({"accept", "vault", "--user", "bob"}, bobs_password);
    EXPECT_EQ(accepted.code, 0) << accepted.err;
    EXPECT_THAT(accepted.out, AllOf(HasSubstr("keyslot 1 is new"), Not(HasSubstr("volume key")), HasSubstr("bob (1)")));

    fs::remove_all(kept(""));
    const Said fresh = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(fresh.code, 0) << fresh.err;
    EXPECT_THAT(fresh.out, HasSubstr("no record"));
    EXPECT_TRUE(opens());
}

TEST_F(HeaderCommands, AnOlderHeaderAndAnotherVolumeKeyAreRefusedBeforeAnybodyTypesAPassword) {
    const std::string old = world.content("vault", 10 * luks::mebibyte);
    enrol_bob();
    world.scribble("vault", 0, old);
    Said said = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(said.code, 4);
    EXPECT_THAT(said.err, AllOf(HasSubstr("older"), HasSubstr("header restore")));

    VaultWorld other;
    other.format_vault();
    luks::Header foreign = other.header().look().header.value();
    foreign.sequence += 100;
    world.scribble("vault", 0, other.content("vault", 10 * luks::mebibyte));
    world.forge("vault", foreign);
    said = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(said.code, 4) << "although the same password opens it";
    EXPECT_THAT(said.err, HasSubstr("another volume key"));
    EXPECT_EQ(wrong_passwords_of("alice"), 0U);
    const std::string device = world.content("vault");
    said = safectl({"restore", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(said.code, 4) << "nor is another volume's header written over";
    EXPECT_THAT(said.err, HasSubstr("another volume"));
    EXPECT_EQ(world.content("vault"), device);
}

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

TEST_F(HeaderCommands, ADataVolumeIsProvedWithItsKeyFromTheMountedVaultElseOnTheVault) {
    world.give_key("alice", alices_password);
    ASSERT_TRUE(world.apply(VaultWorld::mapping_id, model::Action::add));
    ASSERT_TRUE(world.apply(VaultWorld::data_id, model::Action::add));
    world.keys.clear();
    meddle("data");
    const Said mounted = safectl({"accept", "data"});
    EXPECT_EQ(mounted.code, 0) << mounted.err;
    EXPECT_THAT(mounted.out, HasSubstr("its key from the vault opens it"));

    meddle("data");
    const fs::path key = world.places().volume_key("vault", "data");
    fs::rename(key, key.string() + ".away");
    std::ofstream(key) << std::string(64, 'k');
    fs::permissions(key, fs::perms(0600));
    luks::Header again =
        luks::HeaderDevice::open(world.disk("data"), luks::HeaderDevice::Access::read)->read_copies()->header.value();
    again.metadata["tokens"]["10"] = {{"type", "note"}, {"keyslots", luks::Json::array()}};
    ++again.sequence;
    world.forge("data", again);
    EXPECT_EQ(safectl({"accept", "data", "--user", "alice"}, alices_password).code, 4)
        << "the vault's key is the judge";

    world.mapper->unmounted = {"safe-atlas-vault"};
    EXPECT_EQ(safectl({"accept", "data"}).code, 4) << "somebody must vouch";
    EXPECT_EQ(safectl({"accept", "data", "--user", "alice"}, "hunter2").code, 4);
    const Said proved = safectl({"accept", "data", "--user", "alice"}, alices_password);
    EXPECT_EQ(proved.code, 0) << proved.err;
    EXPECT_THAT(proved.out, HasSubstr("the vault is not mounted"));
    scribble_over_both("data");
    EXPECT_EQ(safectl({"restore", "data", "--user", "alice"}, alices_password).code, 0);
    EXPECT_EQ(world.header("data").look().what, luks::Sighting::What::ours);
}

TEST_F(HeaderCommands, ListSaysWhatThereIsAndTouchesNothing) {
    enrol_bob();
    const std::string device = world.content("vault");
    const Said text = safectl({"list", "vault"});
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.out, AllOf(HasSubstr("on record"), HasSubstr("alice, bob"), HasSubstr("backup-")));
    const auto json = nlohmann::json::parse(safectl({"list", "vault", "--format", "json"}).out);
    EXPECT_EQ(json["kind"], "headers");
    EXPECT_EQ(json["headers"][0]["what"], "device");
    EXPECT_EQ(json["headers"][0]["sequence"], header_now().sequence);
    EXPECT_EQ(world.content("vault"), device);
    EXPECT_FALSE(fs::exists(command_state()));
    // What a provider may write must not reach the terminal.
    luks::Header evil = header_now();
    evil.metadata["tokens"]["9"] = luks::user_token("\x1b[2J", 1, {1});
    world.forge("vault", evil);
    EXPECT_THAT(safectl({"list", "vault"}).out, Not(HasSubstr("\x1b")));
    EXPECT_THAT(safectl({"accept", "vault"}).out, Not(HasSubstr("\x1b")));
}

TEST_F(HeaderCommands, AVolumeThatIsNotAttachedSaysWhatToDo) {
    write_spec("alice: { name: Alice, super: true }",
               "iscsi: { target: 'iqn.2026-01.org.example:atlas', portal: 192.0.2.10, lun: 1 }");
    for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
             {"accept", "data"}, {"restore", "data"}, {"backup", "data", "--out", "never"}}) {
        const Said said = safectl(line);
        EXPECT_EQ(said.code, 4) << said.err;
        EXPECT_THAT(said.err, AllOf(HasSubstr("not attached"), HasSubstr("safectl apply --mode open")));
    }
    EXPECT_THAT(safectl({"list", "data"}).out, HasSubstr("not attached"));
}

/// As the world is now, put back as often as wanted.
class Kept {
 public:
    explicit Kept(VaultWorld& world) : world_(world), device_(world.content("vault", 10 * luks::mebibyte)) {
        fs::copy(world.places().headers("vault"), folder(), fs::copy_options::recursive);
    }
    void put_back() const {
        world_.scribble("vault", 0, device_);
        fs::remove_all(world_.places().headers("vault"));
        fs::copy(folder(), world_.places().headers("vault"), fs::copy_options::recursive);
    }

 private:
    [[nodiscard]] fs::path folder() const { return world_.folder.path() / "kept"; }
    VaultWorld& world_;
    std::string device_;
};

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

TEST_F(HeaderCommands, AcceptingKilledAnywhereIsEitherDoneOrNot) {
    meddle();
    const Kept kept_world(world);
    const auto accept = [&] {
        const luks::VolumeHeader header = world.header();
        if (header.look().what == luks::Sighting::What::ours) return header.settle() ? 0 : 1;
        const auto taken = header.take_unrecorded();
        return taken && header.accept(*taken) ? 0 : 1;
    };
    const int points = trace(accept).calls;
    ASSERT_GT(points, 8);
    for (int point = 1; point <= points; ++point) {
        kept_world.put_back();
        ASSERT_TRUE(trace(accept, point).killed) << point;
        ASSERT_EQ(accept(), 0) << point;
        EXPECT_EQ(world.header().look().what, luks::Sighting::What::ours) << point;
        EXPECT_FALSE(world.header().store().pending().value()) << point;
        EXPECT_EQ(world.header().take_file(kept("header.img"))->header.sequence, header_now().sequence) << point;
    }
    EXPECT_TRUE(opens());
}

}  // namespace
}  // namespace safe::test
