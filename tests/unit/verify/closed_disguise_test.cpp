// What somebody with root does so that verify looks past it.
#include <gmock/gmock.h>

#include "specs/identity.hpp"
#include "tests/unit/verify/closed_fixture.hpp"

namespace safe::verify::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(Closed, APortThatWasTakenFromTheBridge) {
    host.port("gateway", "br-other");
    EXPECT_THAT(found(model::Mode::closed), ElementsAre(HasSubstr("fault ports: what gateway sends and gets goes past "
                                                                  "the firewall: its port belongs to br-other")));
    const std::string port = "/sys/class/net/" + specs::tap_of("atlas", "gateway");
    host.remove(port + "/master");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("its port belongs to no bridge")));
    host.remove(port);
    EXPECT_THAT(found(), ElementsAre(HasSubstr("gateway has no port of that name"))) << "renamed";
    host.port("gateway");
    host.port("desktop");
    EXPECT_THAT(found(), IsEmpty()) << "of a guest that sleeps in RAM";
    host.forbidden.insert(port);
    EXPECT_THAT(found(), ElementsAre(HasSubstr("unknown ports")));
}

class AsleepInRam : public Closed {
 protected:
    AsleepInRam() {
        spec = atlas_spec("ram");
        host.mapping("dm-9", "253:9", "safe-atlas-disks", "CRYPT-LUKS2-33333333000000000000000000000000-x", "sdz");
        host.process(1, "init", {"/sbin/init"}, "mnt:[1]",
                     "40 21 253:9 / /srv/safe/atlas/disks rw - ext4 /dev/mapper/safe-atlas-disks rw\n");
        host.process(90, "qemu-system-x86", {"qemu", "-name", "guest=atlas-desktop,debug-threads=on"});
        host.answers("virsh -c qemu:///system domstate atlas-desktop", "paused\n\n");
    }
};

TEST_F(AsleepInRam, AProcessOfItsNameThatStandsStillDoesNotHideOneThatWorks) {
    EXPECT_THAT(found(), IsEmpty());
    host.process(70, "sleep", {"sleep", "-name", "guest=atlas-desktop"});
    int asked = 0;
    host.before_run = [&](const std::string& command) {
        if (command.ends_with("domstate atlas-desktop"))
            host.write("/proc/90/task/90/stat", "90 (CPU 0/KVM) R 1 1 1 0 -1 0 0 0 0 0 " +
                                                    std::to_string(100 + ++asked) + " 30 0 0 20 0 1 0 5\n");
    };
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault guests: the processors of desktop work")));
}

TEST_F(AsleepInRam, ProcessorsThatAreNotToBeFoundDoNotStandStill) {
    host.write("/proc/90/task/90/comm", "worker\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("unknown guests: cannot find the processors of process 90")));
}

TEST_F(Closed, ASessionToATargetSpelledInCapitals) {
    host.disk("sda", "8:0");
    host.session("session1", "IQN.2026-01.ORG.example:Atlas", "192.0.2.99:3260", 2, "sda");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault iSCSI sessions: a session to IQN.2026-01.ORG.example:Atlas")));
    // What is built on its disk, too, under a name and UUID that tell nothing.
    host.mapping("dm-0", "253:0", "innocent", "", "sda");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault iSCSI sessions"), HasSubstr("innocent (dm-0) is built on volume "
                                                                                  "data")));
}

TEST_F(Closed, CompressedSwapThatIsWrittenToADisk) {
    host.write("/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 -2\n");
    host.write("/dev/zram0", "block 252:0");
    host.disk("zram0", "252:0");
    EXPECT_THAT(found(), IsEmpty());
    host.write("/sys/block/zram0/backing_dev", "none\n");
    EXPECT_THAT(found(), IsEmpty());
    host.write("/sys/block/zram0/backing_dev", "/dev/sdb\n");
    host.write("/dev/sdb", "block 8:16");
    host.disk("sdb", "8:16");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault swap: /dev/zram0 is swap in the clear")));
    host.mapping("dm-3", "253:3", "random", "CRYPT-PLAIN-random", "sdb");
    host.write("/dev/dm-3", "block 253:3");
    host.write("/sys/block/zram0/backing_dev", "/dev/dm-3\n");
    EXPECT_THAT(found(), IsEmpty());
}

}  // namespace
}  // namespace safe::verify::test
