// The real driver with the kernel's initiator, open-iscsi, libiscsi and a tgtd on loopback: all that a safe does with
// storage on iSCSI. Needs a kernel with iscsi_tcp, so it runs in the appliance (its scenario "iscsi").
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstdlib>
#include <iterator>

#include "tests/support/iscsi/private_tgtd.hpp"
#include "tests/support/iscsi/session_world.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using model::Mode;
using safe::test::PrivateTgtd;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr const char* secret = "correct-horse-battery";

int run(const std::vector<std::string>& arguments) {
    const auto done = base::run_process(arguments);
    return done ? done->status : -1;
}

std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Why the kernel cannot do it here; empty when it can.
std::string no_initiator() {
    if (const std::string why = safe::test::no_tgtd(); !why.empty()) return why;
    if (run({"iscsiadm", "--version"}) != 0) return "open-iscsi is not installed";
    if (run({"modprobe", "iscsi_tcp"}) != 0) return "this kernel has no iscsi_tcp";
    return {};
}

class Initiator : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const std::string why = no_initiator(); !why.empty()) {
            if (std::getenv("SAFE_REQUIRE_ISCSI") != nullptr) FAIL() << why;
            GTEST_SKIP() << why;
        }
        tgtd = std::make_unique<PrivateTgtd>();
        furnish();
        world = std::make_unique<test::SessionWorld>(endpoint());
        const std::string file = test::secret_file(world->root() / "chap", secret);
        for (specs::VolumeSpec& volume : world->spec.volumes) test::with_chap(volume, "atlas", file);
        restart();
    }
    void TearDown() override {
        if (!world) return;
        const auto closed = world->converge(Mode::closed);
        EXPECT_TRUE(closed) << to_text(closed.error());
    }

    void furnish(const std::string& vault_serial = "VAULT1") {
        tgtd->add_target();
        tgtd->require_chap("atlas", secret);
        tgtd->add_unit(1, vault_serial, 16);
        tgtd->add_unit(2, "DATA2", 16);
        tgtd->add_unit(3, "UNDECLARED3", 16);
    }
    [[nodiscard]] Endpoint endpoint() const { return {tgtd->portal(), PrivateTgtd::target}; }
    void restart() { world->use(make_drivers(world->setting())); }
    void must(Mode mode) {
        const auto done = world->converge(mode);
        ASSERT_TRUE(done) << to_text(done.error());
        const auto again = world->converge(mode);
        ASSERT_TRUE(again) << to_text(again.error());
        EXPECT_EQ(*again, 0) << "applying twice changed something the second time";
        ASSERT_TRUE(mode == Mode::closed || !sessions().empty());
    }
    std::string refusal(Mode mode = Mode::open) {
        const auto done = world->converge(mode);
        return done ? "" : to_text(done.error());
    }
    static std::vector<Session> sessions() { return make_host("safe-atlas")->sessions().value(); }
    const fs::path nodes = fs::path("/etc/iscsi/nodes") / PrivateTgtd::target;
    void expect_nothing_left() {
        EXPECT_TRUE(sessions().empty());
        EXPECT_FALSE(fs::exists(nodes));
        EXPECT_FALSE(fs::exists("/etc/iscsi/ifaces/safe-atlas"));
        EXPECT_FALSE(fs::is_symlink(world->link("vault")));
        EXPECT_FALSE(fs::is_symlink(world->link("data")));
        EXPECT_EQ(tgtd->sessions(), 0U);
    }

    std::unique_ptr<PrivateTgtd> tgtd;
    std::unique_ptr<test::SessionWorld> world;
};

TEST_F(Initiator, OpeningAttachesWhatIsDeclaredAndClosingLeavesNothing) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    const auto there = sessions();
    ASSERT_EQ(there.size(), 1U);
    EXPECT_EQ(there.front().interface, "safe-atlas");
    EXPECT_EQ(there.front().state, "LOGGED_IN");
    EXPECT_EQ(there.front().units.size(), 2U) << "the kernel saw a unit that nobody declared";
    EXPECT_EQ(there.front().unit(1)->serial, "VAULT1");
    // What is written through the link arrives at the unit.
    std::ofstream(world->link("vault"), std::ios::binary | std::ios::in | std::ios::out)
        << "through the link" << std::flush;
    must(Mode::closed);
    EXPECT_EQ(content(tgtd->backing(1, 1)).substr(0, 16), "through the link") << "not written back before it went";
    expect_nothing_left();
}

TEST_F(Initiator, EveryWaitIsBoundedAndEveryByteIsChecked) {
    tgtd->use_checksums();
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    const std::string number = std::to_string(sessions().front().number);
    const fs::path session = "/sys/class/iscsi_session/session" + number;
    const fs::path connection = "/sys/class/iscsi_connection/connection" + number + ":0";
    EXPECT_EQ(content(session / "recovery_tmo"), "30\n");
    EXPECT_TRUE(sessions().front().checksums);
    EXPECT_EQ(content(connection / "header_digest"), "1\n");
    EXPECT_EQ(content(connection / "data_digest"), "1\n");
    EXPECT_EQ(content(connection / "ping_tmo"), "5\n");
    EXPECT_EQ(content(connection / "recv_tmo"), "5\n");
}

TEST_F(Initiator, AStorageWithoutChecksumsIsTakenAndSaidToBe) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    EXPECT_FALSE(sessions().front().checksums);
}

TEST_F(Initiator, TheSecretIsNowhereThatOthersCanRead) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    int found = 0;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator("/etc/iscsi")) {
        if (!entry.is_regular_file() || content(entry.path()).find(secret) == std::string::npos) continue;
        ++found;
        struct stat status{};
        ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << entry.path();
    }
    EXPECT_EQ(found, 1) << "the search itself must be known to work";
    for (const fs::directory_entry& process : fs::directory_iterator("/proc")) {
        if (!fs::exists(process.path() / "cmdline")) continue;
        EXPECT_EQ(content(process.path() / "cmdline").find(secret), std::string::npos) << process.path();
        EXPECT_EQ(content(process.path() / "environ").find(secret), std::string::npos) << process.path();
    }
    must(Mode::closed);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator("/etc/iscsi"))
        EXPECT_FALSE(entry.is_regular_file() && content(entry.path()).find(secret) != std::string::npos)
            << entry.path();
}

TEST_F(Initiator, WhatIsRefusedNeverReachesTheKernel) {
    test::secret_file(world->root() / "chap", "wrong-horse-battery");
    EXPECT_THAT(refusal(), HasSubstr("Authentication failure"));
    EXPECT_TRUE(sessions().empty());
    test::secret_file(world->root() / "chap", secret);
    world->spec.volumes[0].iscsi->lun = {7};
    EXPECT_THAT(refusal(), HasSubstr("0, 1, 2, 3"));
    EXPECT_TRUE(world->absent("vault"));
    EXPECT_TRUE(world->attached("data")) << "one volume's fault is not another's";
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(Initiator, AnotherDiskUnderTheSameAddressIsRefused) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    must(Mode::closed);
    tgtd->stop();
    tgtd->start();
    furnish("EVIL666");
    const std::string why = refusal();
    EXPECT_THAT(why, HasSubstr("EVIL666, and VAULT1 was recorded"));
    EXPECT_THAT(why, HasSubstr(world->record("vault").string()));
    EXPECT_EQ(sessions().front().unit(1), nullptr) << "the kernel was shown the wrong disk";
    fs::remove(world->record("vault"));
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
}

TEST_F(Initiator, ADeviceInUseStaysAndItsUserIsNamed) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    ASSERT_EQ(run({"mkfs.ext4", "-q", "-O", "^has_journal", world->link("vault").string()}), 0);
    const fs::path mounted = world->root() / "mnt";
    fs::create_directory(mounted);
    ASSERT_EQ(::mount(world->link("vault").c_str(), mounted.c_str(), "ext4", 0, nullptr), 0);
    EXPECT_THAT(refusal(Mode::closed), HasSubstr("mounted on " + mounted.string()));
    EXPECT_TRUE(world->attached("vault"));
    ASSERT_EQ(::umount(mounted.c_str()), 0);
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(Initiator, ADeviceBelowDeviceMapperIsInUse) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    ASSERT_EQ(run({"dmsetup", "create", "on-top", "--table", "0 2048 linear " + world->link("vault").string() + " 0"}),
              0);
    EXPECT_THAT(refusal(Mode::closed), HasSubstr("(on-top)"));
    ASSERT_EQ(run({"dmsetup", "remove", "on-top"}), 0);
    must(Mode::closed);
}

TEST_F(Initiator, SomebodyElsesSessionIsLeftAlone) {
    const auto by_hand = [&](const std::vector<std::string>& what) {
        std::vector<std::string> all{"iscsiadm", "-m", "node", "-T", PrivateTgtd::target, "-p", tgtd->portal()};
        all.insert(all.end(), what.begin(), what.end());
        return run(all);
    };
    // A target without CHAP, so that no secret is needed on this command line.
    tgtd->stop();
    tgtd->start();
    tgtd->add_target();
    tgtd->add_unit(1, "VAULT1", 16);
    tgtd->add_unit(2, "DATA2", 16);
    for (specs::VolumeSpec& volume : world->spec.volumes) volume.iscsi->chap.reset();
    fs::create_directories("/run/lock/iscsi");
    run({"iscsid"});  // says no when there is one
    ASSERT_EQ(by_hand({"-o", "new"}), 0);
    ASSERT_EQ(by_hand({"-l"}), 0);
    const auto seen = world->see("vault");
    ASSERT_TRUE(std::holds_alternative<model::Foreign>(seen));
    EXPECT_THAT(refusal(), HasSubstr("somebody else is logged in"));
    EXPECT_EQ(refusal(Mode::closed), "");
    ASSERT_EQ(sessions().size(), 1U);
    EXPECT_EQ(sessions().front().units.size(), 3U) << "it scans everything";  // and tgtd's LUN 0
    ASSERT_EQ(by_hand({"-u"}), 0);
    ASSERT_EQ(by_hand({"-o", "delete"}), 0);
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(Initiator, ASilentStorageIsAnErrorInTime) {
    tgtd->freeze();
    const auto begun = Clock::now();
    EXPECT_THAT(refusal(), HasSubstr("silence"));
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(20));
    tgtd->thaw();
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
}

TEST_F(Initiator, AStorageThatComesBackInTimeGoesOn) {
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    tgtd->stop();
    tgtd->start();
    furnish();
    // Waits for the storage inside the kernel; an error would end the copy.
    EXPECT_EQ(run({"timeout", "60", "dd", "if=" + world->link("vault").string(), "of=/dev/null", "iflag=direct",
                   "bs=64k", "count=4"}),
              0);
    EXPECT_TRUE(world->attached("vault"));
    must(Mode::closed);
    expect_nothing_left();
}

TEST_F(Initiator, AStorageThatStaysAwayFailsInTimeAndKeepsNobodyFromClosing) {
    world->spec.deadlines.storage = {specs::Duration{5}};
    ASSERT_NO_FATAL_FAILURE(must(Mode::open));
    tgtd->stop();
    auto begun = Clock::now();
    EXPECT_NE(run({"timeout", "60", "dd", "if=" + world->link("vault").string(), "of=/dev/null", "iflag=direct",
                   "bs=64k", "count=4"}),
              0);
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(40));
    EXPECT_FALSE(world->absent("vault"));
    begun = Clock::now();
    must(Mode::closed);
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(60));
    EXPECT_TRUE(sessions().empty());
    EXPECT_FALSE(fs::exists(nodes));
}

TEST_F(Initiator, KilledAtAnyTimeItConverges) {
    for (const int milliseconds : {5, 40, 100, 200, 350, 500, 800, 1200, 2000}) {
        const pid_t child = ::fork();
        if (child == 0) {
            restart();
            static_cast<void>(world->converge(Mode::open));
            ::_exit(0);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        restart();
        ASSERT_NO_FATAL_FAILURE(must(Mode::open));
        EXPECT_EQ(sessions().size(), 1U);
        must(Mode::closed);
        expect_nothing_left();
    }
}

}  // namespace
}  // namespace safe::iscsi
