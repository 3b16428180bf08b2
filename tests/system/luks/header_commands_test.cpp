// safectl header as whole commands: who must prove what before a header is accepted, what is refused, what is listed;
// and accepting, killed at every point.
#include "tests/system/luks/header_commands.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/support/kill_point.hpp"

namespace safe::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST_F(HeaderCommands, AKeptCopyThatIsDamagedIsMadeAnewFromTheDeviceByWhoseKeyOpensIt) {
    const auto area = *luks::number_in(header_now().metadata.at("keyslots").at("0").at("area"), "offset");
    const std::string whole = base::read_file(kept("header.img"), std::size_t{64} << 20U).value();
    std::string damaged = whole;
    damaged.replace(area, 4096, std::string(4096, 'x'));
    std::ofstream(kept("header.img"), std::ios::binary) << damaged;
    const auto change = [&] {
        const luks::VolumeHeader header = world.header();
        const luks::Taken now = header.take().value();
        luks::Header fresh = now.header;
        fresh.metadata["tokens"]["9"] = {{"type", "note"}, {"keyslots", luks::Json::array()}};
        ++fresh.sequence;
        return header.put(now, luks::render_both(fresh).value() + now.image.substr(2 * fresh.copy_size));
    };
    const auto refused = change();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().cause, HasSubstr("one of them is damaged"));
    EXPECT_THAT(refused.error().advice, AllOf(HasSubstr("header accept vault"), HasSubstr("header restore vault")));

    EXPECT_EQ(safectl({"accept", "vault", "--user", "alice"}, "hunter2").code, 4);
    EXPECT_EQ(base::read_file(kept("header.img"), std::size_t{64} << 20U).value(), damaged) << "no key, no change";
    const Said accepted = safectl({"accept", "vault", "--user", "alice"}, alices_password);
    EXPECT_EQ(accepted.code, 0) << accepted.err;
    EXPECT_THAT(accepted.out, HasSubstr("keyslot 0 in"));
    EXPECT_EQ(base::read_file(kept("header.img"), std::size_t{64} << 20U).value().substr(area), whole.substr(area));
    EXPECT_THAT(safectl({"accept", "vault"}).out, HasSubstr("is on record as it is"));
    EXPECT_TRUE(change());
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
