// What the safe's part of a seed does in a guest, run as cloud-init runs it, but below a directory and starting
// nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>

#include "reconciler/base/process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class GuestPart : public ::testing::Test {
 protected:
    GuestPart() {
        for (const char* folder : {"etc/ssh/sshd_config.d", "sys/class/rtc/rtc0", "sys/module/nfs/parameters"})
            fs::create_directories(root() / folder);
        write("sys/class/rtc/rtc0/since_epoch", "1");
        write("sys/module/nfs/parameters/recover_lost_locks", "N");
        write("etc/ssh/sshd_config.d/other.conf", "X11Forwarding no\n");
        write("etc/cloud/cloud.cfg",
              "users: [default]\nsystem_info:\n  distro: debian\n  default_user: {name: debian}\n");
        write("etc/cloud/cloud.cfg.d/05_logging.cfg", "## nothing of it\n");
    }

    [[nodiscard]] fs::path root() const { return home_.path(); }
    void write(const fs::path& file, const std::string& content) const {
        fs::create_directories((root() / file).parent_path());
        std::ofstream(root() / file) << content;
    }
    [[nodiscard]] std::string read(const fs::path& file) const {
        std::ifstream stream(root() / file);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    /// Boots once. Returns what it complained of.
    std::string boot(const json& safe, int status = 0) const {
        fs::remove_all(root() / "run");
        const json data{{"ds", {{"meta_data", {{"safe", safe}}}}}};
        write("run/cloud-init/instance-data-sensitive.json", data.dump());
        const fs::path part = fs::path(SAFE_SOURCE_DIR) / "plugins/libvirt/guest_part.py";
        const auto finished = base::run_process({"/usr/bin/python3", part.string(), root().string()});
        if (!finished) throw std::runtime_error(to_text(finished.error()));
        EXPECT_EQ(finished->status, status) << finished->errors;
        return finished->errors;
    }

    testing::TemporaryDirectory home_;
    const json full_{{"client", "1234"},
                     {"mounts",
                      {{{"path", "/data"}, {"source", "10.0.0.1:/srv/safe/t/data"}, {"read-only", false}},
                       {{"path", "/srv/a-b"}, {"source", "10.0.0.1:/srv/safe/t/ref"}, {"read-only", true}}}},
                     {"super-users", {"ssh-ed25519 AAAA alice", "ssh-ed25519 BBBB $(id) 'x"}}};
    const json bare_{{"client", "1234"}, {"mounts", json::array()}, {"super-users", json::array()}};
};

TEST_F(GuestPart, MakesUnitsThatSystemdAccepts) {
    boot(full_);
    EXPECT_EQ(read("run/systemd/system/data.mount"),
              "[Unit]\nDescription=Volume of the safe\n[Mount]\nWhat=10.0.0.1:/srv/safe/t/data\nWhere=/data\n"
              "Type=nfs4\nOptions=vers=4.2,hard,_netdev,rw\n");
    const std::string other = R"(run/systemd/system/srv-a\x2db.mount)";
    EXPECT_THAT(read(other), HasSubstr("Options=vers=4.2,hard,_netdev,ro\n"));
    const auto judged =
        base::run_process({"systemd-analyze", "verify", "--man=no", "--generators=no",
                           (root() / "run/systemd/system/data.mount").string(), (root() / other).string()});
    ASSERT_TRUE(judged) << to_text(judged.error());
    EXPECT_EQ(judged->status, 0) << judged->errors;
}

TEST_F(GuestPart, TellsNfsBeforeAndAfterItIsLoaded) {
    boot(full_);
    EXPECT_EQ(read("run/modprobe.d/safe-nfs.conf"), "options nfs recover_lost_locks=1 nfs4_unique_id=1234\n");
    EXPECT_EQ(read("sys/module/nfs/parameters/recover_lost_locks"), "1");
}

TEST_F(GuestPart, LetsSuperUsersInByTheImagesOwnAccount) {
    boot(full_);
    EXPECT_EQ(read("run/safe-guest/keys/debian"), "ssh-ed25519 AAAA alice\nssh-ed25519 BBBB $(id) 'x\n");
    EXPECT_THAT(read("etc/ssh/sshd_config.d/40-safe.conf"), HasSubstr("/run/safe-guest/keys/%u\n"));
    EXPECT_EQ(read("etc/ssh/sshd_config.d/other.conf"), "X11Forwarding no\n");
}

TEST_F(GuestPart, AnImageMayCallItsAccountSomethingElse) {
    write("etc/cloud/cloud.cfg.d/50-ours.cfg", "system_info: {default_user: {name: admin, lock_passwd: true}}\n");
    boot(full_);
    EXPECT_TRUE(fs::exists(root() / "run/safe-guest/keys/admin"));
    EXPECT_FALSE(fs::exists(root() / "run/safe-guest/keys/debian"));
    write("etc/cloud/cloud.cfg.d/60-bad.cfg", "system_info: {default_user: {name: ../x}}\n");
    EXPECT_THAT(boot(full_, 1), HasSubstr("let_super_users_in: cloud-init's configuration names no account"));
}

TEST_F(GuestPart, WhatIsNoLongerHandedOverIsGoneAtTheNextBoot) {
    boot(full_);
    boot(bare_);
    EXPECT_FALSE(fs::exists(root() / "run/safe-guest/keys/debian"));
    EXPECT_FALSE(fs::exists(root() / "run/systemd/system/data.mount"));
    EXPECT_TRUE(fs::exists(root() / "run/safe-guest/clock.py"));
}

TEST_F(GuestPart, WhatCannotBeDoneIsSaidAndKeepsNothingElseFromBeingDone) {
    fs::remove_all(root() / "sys/class/rtc");
    fs::remove_all(root() / "etc/ssh");
    const std::string said = boot(full_, 1);
    EXPECT_THAT(said, HasSubstr("follow_clock: there is no"));
    EXPECT_THAT(said, HasSubstr("let_super_users_in: there is no"));
    EXPECT_TRUE(fs::exists(root() / "run/systemd/system/data.mount"));
    EXPECT_TRUE(fs::exists(root() / "run/modprobe.d/safe-nfs.conf"));
}

}  // namespace
}  // namespace safe::libvirt
