// safectl user passwd and revoke while the safe is closed and the vault's disk is not attached.
#include "tests/unit/people/peoples_commands.hpp"

namespace safe::cli {
namespace {

TEST_F(PeoplesCommands, AClosedVaultsDiskIsAttachedForAsLongAsItsHeaderIsChanged) {
    detach();
    std::vector<std::string> seen;  // the header, at each step
    world_.on_apply = [&](const model::Step&) { seen.push_back(header_text()); };
    for (const auto& [arguments, words] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"user", "passwd", "bob"}, "bob's word\nbob's new word"}, {{"user", "revoke", "carol", "--yes"}, ""}}) {
        seen.clear();
        world_.log.clear();
        const std::string was = header_text();
        const Said said = safectl(arguments, words);
        EXPECT_EQ(said.code, 0) << said.err;
        EXPECT_THAT(world_.log, ::testing::ElementsAre("add session/vault", "remove session/vault"));
        EXPECT_THAT(seen, ::testing::ElementsAre(was, header_text())) << "written while it was there";
        EXPECT_NE(was, header_text());
        EXPECT_TRUE(world_.things.empty());
    }
    EXPECT_THAT(base::read_file(state() / "journal.jsonl", 1 << 20).value(), HasSubstr("session/vault"));
}

TEST_F(PeoplesCommands, AWrongPasswordLeavesTheDiskAwayAndTheHeaderAsItWas) {
    detach();
    const std::string before = header_text();
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "not it\nnew").code, 4);
    EXPECT_TRUE(world_.things.empty());
    EXPECT_EQ(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatCannotBeHadIsSaidAndNothingIsDone) {
    detach();
    const std::string before = header_text();
    world_.failing.insert(session);
    const Said said = safectl({"user", "passwd", "bob"}, "bob's word\nnew");
    EXPECT_EQ(said.code, 1);
    EXPECT_THAT(said.err, HasSubstr("session/vault"));
    world_.failing.clear();
    world_.unreadable[session] = {"look at", "session/vault", "the initiator is silent"};
    EXPECT_THAT(safectl({"user", "passwd", "bob"}, "bob's word\nnew").err, HasSubstr("the initiator is silent"));
    world_.unreadable.clear();
    world_.foreign.insert(session);
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "bob's word\nnew").code, 4);
    EXPECT_EQ(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatCannotBeGivenBackIsSaidAndTheChangeStands) {
    detach();
    const std::string before = header_text();
    world_.on_apply = [&](const model::Step& step) {
        if (step.action == model::Action::remove) world_.failing.insert(session);
    };
    const Said said = safectl({"user", "passwd", "bob"}, "bob's word\nbob's new word");
    EXPECT_EQ(said.code, 1);
    EXPECT_THAT(said.err, HasSubstr("the change itself is made"));
    EXPECT_NE(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatCameThoughAttachingFailedIsTakenAwayAgain) {
    detach();
    const std::string before = header_text();
    world_.on_apply = [&](const model::Step& step) {
        const bool adds = step.action == model::Action::add;
        if (adds) world_.things[session] = {};
        adds ? static_cast<void>(world_.failing.insert(session)) : static_cast<void>(world_.failing.erase(session));
    };
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "bob's word\nnew").code, 1);
    EXPECT_TRUE(world_.things.empty());
    EXPECT_EQ(header_text(), before);
}

TEST_F(PeoplesCommands, ADiskThatIsThereStaysThere) {
    detach();
    world_.things[session] = {.attributes = attached(true)};
    EXPECT_EQ(safectl({"user", "passwd", "bob"}, "bob's word\nbob's new word").code, 0);
    EXPECT_TRUE(world_.log.empty());
    EXPECT_TRUE(world_.things.contains(session));
}

TEST_F(PeoplesCommands, ASessionThatAPowerCutLeftWithoutItsDiskIsAttachedAnewAndTakenAwayAgain) {
    detach();
    world_.things[session] = {.attributes = attached(false)};
    const std::string before = header_text();
    const Said said = safectl({"user", "passwd", "bob"}, "bob's word\nbob's new word");
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_THAT(world_.log, ::testing::ElementsAre("change session/vault", "remove session/vault"));
    EXPECT_NE(header_text(), before);
}

TEST_F(PeoplesCommands, ASessionThatLostItsDiskUnderAnOpenVaultIsLeftToApply) {
    detach();
    world_.things[session] = {.attributes = attached(false)};
    world_.things[model::make_id(model::Kind::mapping, "vault")] = {};
    const std::string before = header_text();
    const Said said = safectl({"user", "passwd", "bob"}, "bob's word\nbob's new word");
    EXPECT_EQ(said.code, 4) << said.err;
    EXPECT_THAT(said.err, HasSubstr("safectl apply"));
    EXPECT_TRUE(world_.log.empty());
    EXPECT_EQ(header_text(), before);
}

}  // namespace
}  // namespace safe::cli
