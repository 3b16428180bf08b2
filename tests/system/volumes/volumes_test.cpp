// Volumes mounted, exported, used over the wire and taken away, with the kernel's own device-mapper, ext4 and NFS. VMs
// are played by network namespaces with the kernel's NFS client. Only in the appliance: it makes
// /dev/mapper/safe-atlas-*, /srv/safe and the NFS server its own.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "plugins/filesystem/filesystem_driver.hpp"
#include "plugins/nfs/nfs_driver.hpp"
#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/process.hpp"
#include "tests/support/filesystem/loop_device.hpp"
#include "tests/support/nfs/sample_exports.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe {
namespace {

namespace fs = std::filesystem;
using model::Absent;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Presence;
using model::Present;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr off_t disk_size = 64 << 20;

std::string run(const std::vector<std::string>& program, int wanted = 0) {
    const auto ended = base::run_process(program);
    if (!ended) throw std::runtime_error(to_text(ended.error()));
    if (ended->status != wanted)
        throw std::runtime_error(program[0] + " ended with " + std::to_string(ended->status) + ": " + ended->errors);
    return ended->output;
}
/// Clearing up: what is not there need not go.
void attempt(const std::vector<std::string>& program) {
    const auto ended = base::run_process(program);
    if (!ended) std::cerr << to_text(ended.error()) << "\n";
}
std::string shell(const std::string& line) { return run({"/bin/sh", "-c", line}); }

/// In a thread of its own, so that a call that hangs in the NFS client hangs nobody else.
bool within(std::chrono::seconds limit, const std::function<bool()>& task) {
    const auto done = std::make_shared<std::atomic<int>>(-1);
    std::thread([done, task] { *done = task() ? 1 : 0; }).detach();
    const auto end = std::chrono::steady_clock::now() + limit;
    while (*done < 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return *done == 1;
}

/// Gives a frozen guest its network back before its files are closed, which would wait for the server for ever.
struct Thaw {
    explicit Thaw(std::string vm) : vm_(std::move(vm)) { run({"ip", "link", "set", "v-" + vm_, "down"}); }
    Thaw(const Thaw&) = delete;
    Thaw& operator=(const Thaw&) = delete;
    Thaw(Thaw&&) = delete;
    Thaw& operator=(Thaw&&) = delete;
    ~Thaw() { now(); }
    void now() const { attempt({"ip", "link", "set", "v-" + vm_, "up"}); }

 private:
    std::string vm_;
};

class Volumes : public ::testing::Test {
 protected:
    void SetUp() override {
        ASSERT_NE(std::getenv("SAFE_VOLUMES"), nullptr) << "in the appliance only: its scenario sets SAFE_VOLUMES";
        shell(
            "rpc.nfsd 0; pkill -x rpc.mountd; pkill -x nfsdcld; exportfs -ua; "
            "ip link add br-atlas type bridge && ip address add 10.77.0.1/24 dev br-atlas && ip link set br-atlas up");
        for (const auto& [vm, address] : vms)
            shell(
                fmt::format("ip netns add {0} && ip link add v-{0} type veth peer name eth0 netns {0} && "
                            "ip link set v-{0} master br-atlas up && ip -n {0} address add {1}/24 dev eth0 && "
                            "ip -n {0} link set eth0 up && ip -n {0} link set lo up",
                            vm, address));
        fs::permissions(directory.path(), fs::perms(0755));
        for (const char* volume : {"vault", "data", "reference"}) map(volume);
        run({"mkfs.ext4", "-q", places.mapped("reference")});  // comes from elsewhere, read-only
        restart();
    }

    void TearDown() override {
        for (const auto& [vm, address] : vms) {
            attempt({"umount", "-f", "-l", mount_of(vm)});
            // A client that gives up slowly keeps its network for a while, but not the way to it.
            attempt({"ip", "link", "del", "v-" + vm});
            attempt({"ip", "netns", "del", vm});
        }
        attempt({"ip", "link", "del", "br-atlas"});
        attempt({"exportfs", "-ua"});
        attempt({"rpc.nfsd", "0"});
        for (const char* volume : {"vault", "data", "reference"}) {
            attempt({"umount", places.mount_point(volume)});
            attempt({"dmsetup", "remove", places.mapping_name(volume)});
        }
        attempt({"umount", places.mount_root()});
    }

    void map(const std::string& volume) {
        disks.push_back(std::make_unique<test::LoopDevice>(directory.path() / volume, disk_size));
        ASSERT_TRUE(disks.back()->there()) << disks.back()->why();
        run({"dmsetup", "create", places.mapping_name(volume), "--table",
             "0 " + std::to_string(disk_size / 512) + " linear " + disks.back()->path().string() + " 0"});
        shell("dmsetup mknodes");
        if (volume == "reference") return;
        const fs::path marker = filesystem::marker_of(places, volume);
        fs::create_directories(marker.parent_path());
        std::ofstream(marker).flush();
    }

    void restart() {
        drivers[Kind::mount] =
            std::move(filesystem::make_drivers({.spec = spec, .places = places, .keys = keys}).front());
        drivers[Kind::exported] = std::move(nfs::make_drivers({.spec = spec, .places = places, .keys = keys}).front());
    }

    model::Observation seen(Kind kind, const std::string& volume) {
        const auto id = make_id(kind, volume);
        return drivers[kind]->observe({{id}, false}, {}).observations.at(id);
    }

    base::Result<void> bring_about(Kind kind, const std::string& volume, Mode mode) {
        for (const model::Resource& resource : drivers[kind]->desire(spec, mode).resources) {
            if (resource.id != make_id(kind, volume)) continue;
            const model::Observation before = seen(kind, volume);
            model::Step step;
            step.resource = resource.id;
            if (resource.presence == Presence::absent) {
                step.action = model::Action::remove;
                if (std::holds_alternative<Absent>(before)) return {};
            }
            if (auto done = drivers[kind]->apply(step, resource, before, {}); !done) return done;
            const model::Observation after = seen(kind, volume);
            if (resource.presence == Presence::absent) {
                EXPECT_TRUE(std::holds_alternative<Absent>(after)) << to_text(resource.id) << what_the_server_knows();
            } else {
                const auto* present = std::get_if<Present>(&after);
                EXPECT_TRUE(present != nullptr && present->attributes == resource.attributes) << to_text(resource.id);
            }
        }
        return {};
    }

    static std::string what_the_server_knows() {
        return "\n" + shell(
                          "for file in /var/lib/nfs/etab /proc/fs/nfsd/exports /proc/net/rpc/nfsd.export/content "
                          "/proc/net/rpc/nfsd.fh/content /proc/fs/nfsd/clients/*/*; do case $file in */ctl) ;; *) "
                          "echo \"-- $file\"; cat \"$file\" ;; esac; done 2>&1");
    }

    void open() {
        for (const char* volume : {"vault", "data", "reference"})
            for (const Kind kind : {Kind::mount, Kind::exported}) {
                const auto done = bring_about(kind, volume, Mode::open);
                ASSERT_TRUE(done) << to_text(done.error());
            }
    }
    void close() {
        for (const char* volume : {"reference", "data", "vault"})
            for (const Kind kind : {Kind::exported, Kind::mount}) {
                const auto done = bring_about(kind, volume, Mode::closed);
                ASSERT_TRUE(done) << to_text(done.error()) << what_the_server_knows();
            }
        for (const char* volume : {"vault", "data", "reference"})
            run({"blockdev", "--flushbufs", places.mapped(volume)});
    }

    fs::path mount_of(const std::string& vm) { return directory.path() / ("in-" + vm); }

    /// As the guest does: from its network, with a host name of its own.
    bool guest_mounts(const std::string& vm, const std::string& volume) {
        fs::create_directories(mount_of(vm));
        const auto mounted = base::run_process(
            {"timeout", "-k", "1", "60", "nsenter", "--net=/run/netns/" + vm, "unshare", "--uts", "/bin/sh", "-c",
             "hostname " + vm + " && exec mount -t nfs4 -o vers=4.2,hard,retry=0 10.77.0.1:" +
                 places.mount_point(volume).string() + " " + mount_of(vm).string()});
        return mounted && mounted->status == 0;
    }

    const std::map<std::string, std::string> vms{
        {"desktop", "10.77.0.20"}, {"forge", "10.77.0.21"}, {"probe", "10.77.0.22"}};
    testing::TemporaryDirectory directory;
    specs::SafeSpec spec = test::sample_exports();
    driver::Places places{"atlas", "/var/lib/safe/atlas"};
    driver::KeyRing keys;
    std::vector<std::unique_ptr<test::LoopDevice>> disks;
    std::map<Kind, std::unique_ptr<driver::Driver>> drivers;
};

TEST_F(Volumes, OpenAndClosedAndOpenAgain) {
    open();
    close();
    open();
    for (const char* volume : {"vault", "data", "reference"})
        EXPECT_TRUE(drivers[Kind::mount]->observe({{make_id(Kind::mount, volume)}}, {}).refusals.empty());
    close();
    // A mapping that nothing holds can be taken away.
    for (const char* volume : {"vault", "data", "reference"}) run({"dmsetup", "remove", places.mapping_name(volume)});
}

TEST_F(Volumes, OnlyTheVmsOfTheFileAreServedAndOnTheSafesAddressAlone) {
    open();
    EXPECT_TRUE(guest_mounts("desktop", "data"));
    EXPECT_FALSE(guest_mounts("probe", "data"));
    EXPECT_FALSE(guest_mounts("forge", "reference"));
    EXPECT_FALSE(guest_mounts("forge", "vault"));
    const std::string listeners = shell("ss -Hltnu | awk '{print $5}'");
    EXPECT_THAT(listeners, HasSubstr("10.77.0.1:2049"));
    EXPECT_THAT(listeners, Not(HasSubstr("0.0.0.0:2049")));
    EXPECT_EQ(shell("ss -Hltunp | grep -c rpc.mountd || true"), "0\n") << "rpc.mountd is not reachable at all";
    EXPECT_EQ(shell("cat /proc/fs/nfsd/versions"), "-3 +4 -4.0 -4.1 +4.2\n");
}

TEST_F(Volumes, RootOfAGuestIsNobodyAndPeopleArePeople) {
    open();
    ASSERT_TRUE(guest_mounts("desktop", "data"));
    const fs::path there = mount_of("desktop");
    std::ofstream(there / "by-root") << "x";
    struct stat status{};
    ASSERT_EQ(::stat((places.mount_point("data") / "by-root").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 65534U);
    shell("setpriv --reuid 1000 --regid 1000 --groups 4242 mkdir " + (there / "shared").string());
    shell("setpriv --reuid 1000 --regid 4242 --groups 4242 sh -c 'chgrp 4242 " + (there / "shared").string() +
          " && chmod 2770 " + (there / "shared").string() + "'");
    // Groups are the guest's own: the hypervisor knows of none.
    shell("setpriv --reuid 1001 --regid 1001 --groups 4242 touch " + (there / "shared/by-a-colleague").string());
    run({"setpriv", "--reuid", "1002", "--regid", "1002", "--clear-groups", "touch", there / "shared/by-a-stranger"},
        1);
    // What may not run on the hypervisor may run in a guest.
    shell("printf '#!/bin/sh\\nexit 0\\n' >" + (there / "tool").string() + " && chmod 755 " +
          (there / "tool").string());
    EXPECT_EQ(base::run_process({there / "tool"})->status, 0);
    EXPECT_FALSE(base::run_process({places.mount_point("data") / "tool"}));
}

TEST_F(Volumes, AFrozenGuestDoesNotKeepTheVolumeAndFindsItsFileAgain) {
    open();
    ASSERT_TRUE(guest_mounts("desktop", "data"));
    ASSERT_TRUE(guest_mounts("forge", "data"));
    const base::FileDescriptor file(
        ::open((mount_of("desktop") / "heartbeat").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_TRUE(file);
    ASSERT_EQ(::write(file.get(), "one\n", 4), 4);
    ASSERT_EQ(::fsync(file.get()), 0);
    const Thaw desktop("desktop");
    const auto start = std::chrono::steady_clock::now();
    close();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    open();
    desktop.now();
    EXPECT_TRUE(within(std::chrono::seconds(90), [&] {
        return ::write(file.get(), "two\n", 4) == 4 && ::fsync(file.get()) == 0;
    })) << "the same descriptor goes on";
    std::ifstream written(places.mount_point("data") / "heartbeat");
    const std::string content((std::istreambuf_iterator<char>(written)), {});
    EXPECT_EQ(content, "one\ntwo\n");
}

TEST_F(Volumes, KilledBetweenWithdrawingAndEndingItStillCloses) {
    open();
    ASSERT_TRUE(guest_mounts("desktop", "data"));
    const base::FileDescriptor file(::open((mount_of("desktop") / "held").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_TRUE(file);
    const Thaw desktop("desktop");
    run({"exportfs", "-u", "10.77.0.20:" + places.mount_point("data").string()});
    run({"exportfs", "-u", "10.77.0.21:" + places.mount_point("data").string()});
    const auto held = bring_about(Kind::mount, "data", Mode::closed);
    ASSERT_FALSE(held) << "what the test is about: the volume is busy";
    EXPECT_THAT(to_text(held.error()), HasSubstr("the NFS client 10.77.0.20"));
    EXPECT_TRUE(std::holds_alternative<Present>(seen(Kind::exported, "data")));
    close();
    open();  // the guest gets its server back, or closing its file would wait for ever
}

TEST_F(Volumes, ANeighbourWithItsOwnVolumeIsNotDisturbed) {
    spec.volumes[2].access = {specs::Access::read_write};
    spec.vms[1].mounts = {test::sample_mount("/reference", "reference")};
    restart();
    open();
    shell("chmod 1777 " + places.mount_point("reference").string());
    ASSERT_TRUE(guest_mounts("forge", "reference"));
    ASSERT_TRUE(guest_mounts("desktop", "data"));
    const base::FileDescriptor mine(::open((mount_of("forge") / "mine").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    const base::FileDescriptor held(::open((mount_of("desktop") / "held").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_TRUE(mine && held);
    const Thaw desktop("desktop");
    for (const Kind kind : {Kind::exported, Kind::mount}) {
        const auto done = bring_about(kind, "data", Mode::closed);
        ASSERT_TRUE(done) << to_text(done.error());
    }
    EXPECT_TRUE(
        within(std::chrono::seconds(5), [&] { return ::write(mine.get(), "x", 1) == 1 && ::fsync(mine.get()) == 0; }));
}

TEST_F(Volumes, AnNfsServerOfSomebodyElsesIsLeftAloneAndRefused) {
    for (const char* volume : {"vault", "data"}) ASSERT_TRUE(bring_about(Kind::mount, volume, Mode::open));
    run({"rpc.nfsd", "-N", "3", "2"});
    const auto now = seen(Kind::exported, "data");
    ASSERT_TRUE(std::holds_alternative<model::Foreign>(now));
    EXPECT_THAT(std::get<model::Foreign>(now).what, HasSubstr("0.0.0.0:2049"));
    EXPECT_FALSE(bring_about(Kind::exported, "data", Mode::open));
    EXPECT_EQ(shell("cat /proc/fs/nfsd/threads"), "2\n");
    run({"rpc.nfsd", "0"});
}

TEST_F(Volumes, AMountdThatLooksGroupsUpByItselfIsRefused) {
    ASSERT_TRUE(bring_about(Kind::mount, "data", Mode::open));
    run({"rpc.mountd", "-N", "3", "-g"});
    const auto refused = bring_about(Kind::exported, "data", Mode::open);
    ASSERT_FALSE(refused);
    EXPECT_THAT(to_text(refused.error()), HasSubstr("manage-gids"));
}

}  // namespace
}  // namespace safe
