// safectl user, as a person meets it: on a real header and a real slapd, judged by cryptsetup and ldapsearch, which
// share no code of ours. And the canary: a password that must turn up nowhere.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "reconciler/intent/store.hpp"
#include "tests/support/members/member_world.hpp"

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
                const std::vector<std::string>& under = {}) const {
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
            for (const auto& [name, descriptor] : {std::pair("out", STDOUT_FILENO), std::pair("err", STDERR_FILENO)})
                ::dup2(::open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600), descriptor);
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
    Ended wait(pid_t child) const {
        Ended ended;
        ::waitpid(child, &ended.status, 0);
        ended.output = base::read_file(folder() / "out", 1 << 20).value();
        ended.errors = base::read_file(folder() / "err", 1 << 20).value();
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

    std::unique_ptr<MemberWorld> world;
};

TEST_F(Commands, ListEnrolChangeRevokeAndEverybodyAgrees) {
    Ended ended = safectl({"user", "list"});
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.output, AllOf(HasSubstr("enrolled"), HasSubstr("pending enrolment"), HasSubstr("room for 2")));

    ended = safectl({"user", "enrol", "carol", "--sponsor", "alice", "--password-fd", "9"},
                    lines({alices_password, MemberWorld::carols_password}));
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_EQ(world->both("carol", MemberWorld::carols_password), 1);
    EXPECT_THAT(luks_dump(), HasSubstr("\"user\":\"carol\""));
    EXPECT_THAT(world->slapd.ldapsearch(test::PrivateSlapd::base, "(uid=carol)", {"safeGeneration"}),
                HasSubstr("safeGeneration: 1"));

    ended = safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "quiet river under bob"}));
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.errors, HasSubstr("hint: it contains the name"));
    EXPECT_EQ(world->both("bob", "quiet river under bob"), 1);
    EXPECT_FALSE(world->opens("bob", bobs_password));

    ended = safectl({"user", "list", "--format", "json"});
    EXPECT_THAT(ended.output,
                AllOf(HasSubstr("\"safe-users\""), HasSubstr("\"generation\": 2"), Not(HasSubstr("pending"))));

    EXPECT_EQ(safectl({"user", "revoke", "bob"}).code(), 4) << "nobody is there to confirm";
    EXPECT_EQ(world->both("bob", "quiet river under bob"), 1);
    ended = safectl({"user", "revoke", "bob", "--yes"});
    EXPECT_EQ(ended.code(), 0) << ended.errors;
    EXPECT_THAT(ended.output, HasSubstr("still in the spec"));
    EXPECT_THAT(luks_dump(), Not(HasSubstr("\"user\":\"bob\"")));
    EXPECT_FALSE(world->has_entry("bob"));
}

TEST_F(Commands, WhatIsRefusedLeavesHeaderAndDirectoryByteForByte) {
    const std::string header = world->vault.content("vault");
    const std::string directory = world->slapd.dump();
    const auto refused = [&](const std::vector<std::string>& arguments, const std::string& passwords) {
        const Ended ended = safectl(arguments, passwords);
        EXPECT_EQ(ended.code(), 4) << fmt::format("{}: ", fmt::join(arguments, " ")) << ended.errors;
        EXPECT_EQ(world->vault.content("vault"), header);
        EXPECT_EQ(world->slapd.dump(), directory);
    };
    refused({"user", "passwd", "bob", "--password-fd", "9"}, lines({"wrong", "new"}));
    refused({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, bobs_password}));
    refused({"user", "enrol", "carol", "--sponsor", "alice", "--password-fd", "9"}, lines({"wrong", "new"}));
    refused({"user", "enrol", "bob", "--sponsor", "alice", "--password-fd", "9"}, lines({alices_password, "new"}));
    refused({"user", "enrol", "*)(uid=*", "--sponsor", "alice", "--password-fd", "9"}, lines({alices_password, "new"}));
    refused({"user", "revoke", "alice", "--yes"}, "");
    // For a directory these are bob.
    for (const char* name : {"mallory", " bob", "BOB", "bob "}) refused({"user", "revoke", name, "--yes"}, "");
}

TEST_F(Commands, WrongPasswordsAreRememberedFromOneCommandToTheNext) {
    const auto store = [&] { return intent::Store::open(folder() / "all" / "atlas").value(); };
    EXPECT_EQ(safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({"wrong", "new"})).code(), 4);
    auto kept = store().wrong_passwords("bob", "local").value();
    ASSERT_EQ(kept.count, 1U);
    kept.count = 10;
    kept.last = std::chrono::ceil<std::chrono::seconds>(std::chrono::system_clock::now());
    ASSERT_TRUE(store().keep_wrong_passwords("bob", "local", kept));
    const Ended waits = safectl({"user", "passwd", "bob", "--password-fd", "9"}, lines({bobs_password, "new"}));
    EXPECT_EQ(waits.code(), 4) << "even the right one must wait";
    EXPECT_THAT(waits.errors, HasSubstr("try again in"));
    EXPECT_EQ(world->both("bob", bobs_password), 1);
    ASSERT_TRUE(store().keep_wrong_passwords("bob", "local", {}));
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
    if (::access("/usr/bin/strace", X_OK) != 0) GTEST_SKIP() << "strace is not installed";
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
