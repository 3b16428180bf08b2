// safectl user, as a person meets it: on a real header and a real slapd, judged by cryptsetup and ldapsearch, which
// share no code of ours. And the canary: a password that must turn up nowhere.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include <map>
#include <set>
#include <sstream>

#include "reconciler/applying/lock_file.hpp"
#include "reconciler/intent/store.hpp"
#include "tests/support/members/member_world.hpp"
#include "tests/support/sanitizers.hpp"

namespace safe::members {
namespace {

using test::alices_password;
using test::bobs_password;
using test::MemberWorld;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Ended {
    int status = -1;  // as waitpid(2) says
    std::string output;
    std::string errors;
    [[nodiscard]] int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
};

class Commands : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = test::PrivateSlapd::impossible()) GTEST_SKIP() << *why;
        world = std::make_unique<MemberWorld>();
        std::ofstream(spec()) << "version: 1\nsafe: atlas\nvolumes: { vault: { role: vault, file: "
                              << world->vault.disk("vault") << " } }\ndirectory: { ldap: '" << world->slapd.local_uri()
                              << "', base: '" << test::PrivateSlapd::base
                              << "' }\nusers:\n  alice: { name: alice, super: true }\n  bob: { name: bob }\n"
                                 "  carol: { name: carol, super: true }\n";
        fs::create_directories(folder() / "all");
        fs::rename(world->vault.places().state_dir(), folder() / "all" / "atlas");
        fs::create_directory_symlink(folder() / "all" / "atlas", world->vault.places().state_dir());
    }

    fs::path folder() const { return world->vault.folder.path(); }
    fs::path spec() const { return folder() / "safe.yaml"; }

    pid_t start(std::vector<std::string> arguments, const std::string& passwords,
                const std::vector<std::string>& under = {}, const std::string& to = "") const {
        std::vector<std::string> line = under;
        line.push_back(SAFECTL);
        line.insert(line.end(), arguments.begin(), arguments.end());
        for (const std::string& more :
             {std::string("-f"), spec().string(), std::string("--state-dir"), (folder() / "all").string()})
            line.push_back(more);
        int ends[2] = {-1, -1};
        if (::pipe(ends) != 0) throw std::runtime_error("pipe");
        const pid_t child = ::fork();
        if (child == 0) {
            const rlimit generous{RLIM_INFINITY, RLIM_INFINITY};
            ::setrlimit(RLIMIT_CORE, &generous);
            static_cast<void>(::chdir(folder().c_str()));
            ::dup2(ends[0], 9);
            for (const auto& [name, descriptor] :
                 {std::pair("out" + to, STDOUT_FILENO), std::pair("err" + to, STDERR_FILENO)})
                ::dup2(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), descriptor);
            std::vector<char*> argv;
            for (std::string& argument : line) argv.push_back(argument.data());
            argv.push_back(nullptr);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        if (::write(ends[1], passwords.data(), passwords.size()) < 0) throw std::runtime_error("write");
        ::close(ends[0]);
        ::close(ends[1]);
        return child;
    }
    Ended wait(pid_t child, const std::string& to = "") const {
        Ended ended;
        ::waitpid(child, &ended.status, 0);
        ended.output = base::read_file(folder() / ("out" + to), 1 << 20).value();
        ended.errors = base::read_file(folder() / ("err" + to), 1 << 20).value();
        return ended;
    }
    Ended safectl(const std::vector<std::string>& arguments, const std::string& passwords = "") const {
        return wait(start(arguments, passwords));
    }

    static std::string lines(std::initializer_list<std::string_view> passwords) {
        std::string text;
        for (const std::string_view password : passwords) text += std::string(password) + "\n";
        return text;
    }
    std::string luks_dump() const {
        return test::must_run({"cryptsetup", "luksDump", "--dump-json-metadata", world->vault.disk("vault")});
    }

    intent::Store store() const { return intent::Store::open(folder() / "all" / "atlas").value(); }
    /// So many wrong passwords, the last of them a moment ago.
    void count_wrong_passwords(const std::string& user, unsigned count) const {
        ASSERT_TRUE(store().change_wrong_passwords(user, "local", [&](const intent::WrongPasswords&) {
            return intent::WrongPasswords{
                .count = count, .last = std::chrono::ceil<std::chrono::seconds>(std::chrono::system_clock::now())};
        }));
    }

    /// Exit 4, for that reason, and not a byte of header or directory is another.
    void refused(const std::vector<std::string>& arguments, const std::string& passwords, std::string_view why) const {
        const std::string header = world->vault.content("vault");
        const std::string directory = world->slapd.dump();
        const Ended ended = safectl(arguments, passwords);
        EXPECT_EQ(ended.code(), 4) << fmt::format("{}: ", fmt::join(arguments, " ")) << ended.errors;
        EXPECT_THAT(ended.errors, HasSubstr(std::string(why))) << fmt::format("{}", fmt::join(arguments, " "));
        EXPECT_EQ(world->vault.content("vault"), header);
        EXPECT_EQ(world->slapd.dump(), directory);
    }

    // --- who is a member, as three programs say it

    struct Member {
        std::string user;
        std::uint64_t generation = 0;
        int slot = -1;  // -1: not said
        auto operator<=>(const Member&) const = default;
    };
    using Roll = std::set<Member>;

    /// By keyslots and by the directory.
    std::pair<Roll, Roll> listed() const {
        const Ended ended = safectl({"user", "list", "--format", "json"});
        EXPECT_EQ(ended.code(), 0) << ended.errors;
        const Json document = Json::parse(ended.output);
        EXPECT_EQ(document.at("kind"), "users");
        EXPECT_EQ(document.at("other_keyslots"), 0);
        std::pair<Roll, Roll> rolls;
        for (const Json& user : document.at("users")) {
            for (const Json& keyslot : user.at("keyslots"))
                rolls.first.insert({user.at("user"), keyslot.at("generation"), keyslot.at("slot").get<int>()});
            if (!user.at("generation").is_null()) rolls.second.insert({user.at("user"), user.at("generation")});
        }
        return rolls;
    }
    Roll dumped() const {
        const Json metadata = Json::parse(luks_dump());
        Roll roll;
        for (const Json& token : metadata.at("tokens")) {
            if (token.at("type") != "safe-user") continue;
            EXPECT_EQ(token.at("keyslots").size(), 1U) << token.dump();
            const std::string slot = token.at("keyslots").at(0);
            EXPECT_TRUE(metadata.at("keyslots").contains(slot)) << token.dump();
            roll.insert({token.at("user"), token.at("generation"), std::stoi(slot)});
        }
        EXPECT_EQ(metadata.at("keyslots").size(), roll.size()) << "a keyslot that is nobody's";
        return roll;
    }
    Roll searched() const {
        std::istringstream entries(
            world->slapd.ldapsearch(test::PrivateSlapd::base, "(safeGeneration=*)", {"uid", "safeGeneration"}));
        Roll roll;
        Member member;
        for (std::string line; std::getline(entries, line);) {
            if (line.starts_with("uid: ")) member.user = line.substr(5);
            if (line.starts_with("safeGeneration: ")) member.generation = std::stoull(line.substr(16));
            if (!line.empty()) continue;
            roll.insert(std::exchange(member, {}));
        }
        EXPECT_TRUE(member.user.empty()) << "entries end with an empty line";
        return roll;
    }
    /// `user list`, `cryptsetup luksDump` and `ldapsearch` know the same people, and these are they.
    void everybody_says(const std::map<std::string, std::uint64_t>& generations) const {
        const auto [by_keyslots, by_directory] = listed();
        EXPECT_EQ(by_keyslots, dumped());
        EXPECT_EQ(by_directory, searched());
        Roll without_slots;
        for (Member member : by_keyslots) {
            member.slot = -1;
            without_slots.insert(member);
        }
        EXPECT_EQ(without_slots, by_directory);
        Roll expected;
        for (const auto& [user, generation] : generations) expected.insert({user, generation});
        EXPECT_EQ(by_directory, expected);
    }

    std::unique_ptr<MemberWorld> world;
};

TEST_F(Commands, ListEnrolChangeRevokeAndEverybodyAgrees) {
    Ended ended = safectl({"user", "list"});
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.output, AllOf(HasSubstr("enrolled"), HasSubstr("pending enrolment"), HasSubstr("room for 2")));
    everybody_says({{"alice", 1}, {"bob", 1}});

    ended = safectl({"user", "enrol", "carol", "--sponsor", "alice", "--password-fd", "9"},
                    lines({alices_password, MemberWorld::carols_password}));
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_EQ(world->both("carol", MemberWorld::carols_password), 1);
    everybody_says({{"alice", 1}, {"bob", 1}, {"carol", 1}});

    ended = safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "quiet river under bob"}));
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.errors, HasSubstr("hint: it contains the name"));
    EXPECT_EQ(world->both("bob", "quiet river under bob"), 1);
    EXPECT_FALSE(world->opens("bob", bobs_password));
    everybody_says({{"alice", 1}, {"bob", 2}, {"carol", 1}});

    EXPECT_EQ(safectl({"user", "revoke", "bob"}).code(), 4) << "nobody is there to confirm";
    EXPECT_EQ(world->both("bob", "quiet river under bob"), 1);
    ended = safectl({"user", "revoke", "bob", "--yes"});
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.output, HasSubstr("still in the spec"));
    everybody_says({{"alice", 1}, {"carol", 1}});
    EXPECT_FALSE(world->has_entry("bob"));
}

TEST_F(Commands, WhoWasAcceptedWithoutATokenIsShownAndRevoked) {
    const luks::Header whole = world->vault.header().look().header.value();
    luks::Header stripped = whole;
    stripped.metadata["tokens"].erase(luks::user_tokens(whole)[1].id);
    ++stripped.sequence;
    world->vault.forge("vault", stripped);
    Ended ended =
        safectl({"header", "accept", "vault", "--user", "alice", "--password-fd", "9"}, lines({alices_password}));
    ASSERT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.output, HasSubstr("bob (1), known from the record alone"));
    EXPECT_THAT(safectl({"user", "list"}).output, HasSubstr("token missing"));
    ended = safectl({"user", "revoke", "bob", "--yes"});
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_FALSE(Json::parse(luks_dump())["keyslots"].contains("1")) << "and not the entry in the directory alone";
    EXPECT_TRUE(world->nothing_left_over());
    EXPECT_FALSE(world->has_entry("bob"));
    everybody_says({{"alice", 1}});
}

TEST_F(Commands, WhatIsRefusedLeavesHeaderAndDirectoryByteForByte) {
    const std::vector<std::string> passwd{"user", "passwd", "bob", "--password-fd", "9"};
    const auto enrol = [](const char* user) {
        return std::vector<std::string>{"user", "enrol", user, "--sponsor", "alice", "--password-fd", "9"};
    };
    refused(passwd, lines({"wrong", "new"}), "it is wrong");
    refused(passwd, lines({bobs_password, bobs_password}), "the new one is the old one");
    refused(enrol("carol"), lines({"wrong", "new"}), "it is wrong");
    refused(enrol("bob"), lines({alices_password, "new"}), "is enrolled already");
    refused(enrol("*)(uid=*"), lines({alices_password, "new"}), "nobody of that name is in the spec");
    refused({"user", "revoke", "alice", "--yes"}, "", "no other super-user");
    // For a directory these are bob.
    for (const char* name : {"mallory", " bob", "BOB", "bob "})
        refused({"user", "revoke", name, "--yes"}, "", "nobody of that name");

    count_wrong_passwords("bob", 10);
    refused(passwd, lines({bobs_password, "new"}), "try again in");
    count_wrong_passwords("alice", 10);
    refused(enrol("carol"), lines({alices_password, "new"}), "try again in");
    for (const char* user : {"alice", "bob"}) count_wrong_passwords(user, 0);

    const auto lock = applying::LockFile::take(folder() / "all" / "atlas" / "lock");
    ASSERT_TRUE(lock) << to_text(lock.error());
    const std::string by_us = fmt::format("process {} is", ::getpid());
    refused(passwd, lines({bobs_password, "new"}), by_us);
    refused(enrol("carol"), lines({alices_password, "new"}), by_us);
    refused({"user", "revoke", "bob", "--yes"}, "", by_us);
}

TEST_F(Commands, AFullHeaderIsRefusedByteForByte) {
    const auto fill_but = [&](int room) {
        luks::Header full = world->vault.header().look().header.value();
        luks::Json& tokens = full.metadata["tokens"];
        for (int id = 31; luks::room_in(full) > room; --id)
            if (!tokens.contains(std::to_string(id)))
                tokens[std::to_string(id)] = {{"type", "note"}, {"keyslots", luks::Json::array()}};
        ++full.sequence;
        world->vault.forge("vault", full);
        const luks::HeaderStore record = world->vault.header().store();
        ASSERT_TRUE(record.announce(luks::record_of(full, std::nullopt)));
        ASSERT_TRUE(record.commit());
    };
    fill_but(1);
    refused({"user", "enrol", "carol", "--sponsor", "alice", "--password-fd", "9"}, lines({alices_password, "new"}),
            "no room for a further member");
    fill_but(0);
    refused({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "new"}),
            "no room for the new keyslot");
    EXPECT_EQ(world->both("bob", bobs_password), 1);
}

/// Two operators at once: the lock lets one go first, and whoever comes later finds the old password gone.
TEST_F(Commands, OfTwoAtOnceOneWins) {
    std::string present(bobs_password);
    for (int round = 0; round < 3; ++round) {
        const std::array words{fmt::format("first word {}", round), fmt::format("second word {}", round)};
        std::array<pid_t, 2> running{};
        for (std::size_t i = 0; i < 2; ++i)
            running.at(i) = start({"user", "passwd", "bob", "--password-fd", "9"}, lines({present, words.at(i)}), {},
                                  std::to_string(i));
        std::array<int, 2> codes{};
        for (std::size_t i = 0; i < 2; ++i) codes.at(i) = wait(running.at(i), std::to_string(i)).code();
        EXPECT_THAT(codes, ::testing::UnorderedElementsAre(0, 4));
        const std::string& won = words.at(codes[0] == 0 ? 0 : 1);
        EXPECT_EQ(world->both("bob", words[0]) + world->both("bob", words[1]), 1);
        EXPECT_EQ(world->both("bob", won), 1) << "the one whose command ended with 0";
        EXPECT_FALSE(world->opens("bob", words.at(codes[0] == 0 ? 1 : 0)));
        EXPECT_FALSE(world->opens("bob", present));
        EXPECT_EQ(world->keyslots_of("bob"), 1U);
        present = won;
    }
}

TEST_F(Commands, WrongPasswordsAreRememberedFromOneCommandToTheNext) {
    EXPECT_EQ(safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({"wrong", "new"})).code(), 4);
    ASSERT_EQ(store().wrong_passwords("bob", "local")->count, 1U);
    count_wrong_passwords("bob", 10);
    const Ended waits = safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "new"}));
    EXPECT_EQ(waits.code(), 4) << "even the right one must wait";
    EXPECT_THAT(waits.errors, HasSubstr("try again in"));
    EXPECT_EQ(world->both("bob", bobs_password), 1);
    count_wrong_passwords("bob", 0);
    EXPECT_EQ(safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "new"})).code(), 0);
    EXPECT_EQ(store().wrong_passwords("bob", "local")->count, 0U);
}

TEST_F(Commands, TheDirectoryOffIsSaidAndNothingIsTouched) {
    const std::string header = world->vault.content("vault");
    world->slapd.stop();
    const Ended listed = safectl({"user", "list"});
    EXPECT_EQ(listed.code(), 1);
    EXPECT_THAT(listed.output, HasSubstr("unknown"));
    EXPECT_EQ(safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "new"})).code(), 1);
    EXPECT_EQ(world->vault.content("vault"), header);
    const Ended revoked = safectl({"user", "revoke", "bob", "--yes"});
    EXPECT_EQ(revoked.code(), 3) << "the access goes, the entry waits";
    EXPECT_THAT(luks_dump(), Not(HasSubstr("\"user\":\"bob\"")));
    world->slapd.start();
    EXPECT_EQ(safectl({"user", "revoke", "bob", "--yes"}).code(), 0);
    EXPECT_FALSE(world->has_entry("bob"));
}

TEST_F(Commands, ThePasswordAndItsKeysTurnUpNowhere) {
    constexpr std::string_view canary = "canary-9f3b27d1-never-seen";
    ASSERT_EQ(::access("/usr/bin/strace", X_OK), 0) << "strace is not installed (tests/support/packages/test)";
    world->slapd.stop();
    world->slapd.log_at("stats,stats2,args,trace");
    world->slapd.start();
    const auto begun = start(
        {"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, canary}),
        {"/usr/bin/strace", "-f", "-v", "-s", "100000", "-e", "trace=execve", "-o", (folder() / "execs").string()});
    const Ended ended = wait(begun);
    ASSERT_EQ(ended.code(), 0) << ended.errors;
    ASSERT_EQ(world->both("bob", canary), 1);

    const Keys keys = world->keys("bob", canary);
    std::vector<std::string> never{std::string(canary), std::string(bobs_password), std::string(keys.luks.view()),
                                   std::string(keys.directory.view())};
    never.emplace_back(ldap::password_of(keys.luks)->view());
    // The directory's password is what ldapwhoami above had to send: it is looked for in what our side leaves.
    const std::string bind_password(ldap::password_of(keys.directory)->view());
    std::vector<fs::path> places{folder() / "execs", folder() / "out", folder() / "err"};
    ASSERT_THAT(base::read_file(folder() / "execs", 1 << 24).value(), HasSubstr("safe-key-helper"))
        << "the trace sees what is run";
    for (const auto& file : fs::recursive_directory_iterator(folder() / "all"))
        if (file.is_regular_file()) places.push_back(file.path());
    ASSERT_GT(places.size(), 5U);
    const auto search = [&](const std::string& text, const std::string& where) {
        for (const std::string& secret : never) EXPECT_EQ(text.find(secret), std::string::npos) << where;
    };
    for (const fs::path& place : places) {
        const std::string text = base::read_file(place, 1 << 28).value();
        search(text, place.string());
        EXPECT_EQ(text.find(bind_password), std::string::npos) << place;
    }
    search(world->slapd.dump(), "the directory");
    EXPECT_EQ(world->slapd.dump().find(bind_password), std::string::npos) << "it is kept as a hash";
    search(base::read_file(world->slapd.directory() / "slapd.log", 1 << 28).value(), "the server's log");
    search(world->vault.content("vault"), "the header");
}

TEST_F(Commands, ACrashLeavesNoCore) {
    if (testing::under_a_sanitizer) GTEST_SKIP() << "a sanitizer catches the signal";
    world->slapd.freeze();
    const pid_t child = start({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "new"}));
    // It waits for the directory now.
    std::this_thread::sleep_for(std::chrono::seconds(2));
    std::ifstream file(fmt::format("/proc/{}/limits", child));
    const std::string limits((std::istreambuf_iterator<char>(file)), {});
    EXPECT_THAT(limits, ::testing::ContainsRegex("Max core file size +0 +0"));
    ::kill(child, SIGSEGV);
    const Ended ended = wait(child);
    world->slapd.thaw();
    ASSERT_TRUE(WIFSIGNALED(ended.status));
    EXPECT_FALSE(WCOREDUMP(ended.status));
}

}  // namespace
}  // namespace safe::members
