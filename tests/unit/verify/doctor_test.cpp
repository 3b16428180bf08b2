// doctor: a fit host passes, and each thing that is wrong with one is named with what to do.
#include "reconciler/verify/doctor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/verify/fake_host.hpp"

namespace safe::verify::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Doctor : public ::testing::Test {
 protected:
    Doctor() {
        for (const char* module : {"dm_crypt", "iscsi_tcp", "bridge", "nf_tables", "nf_conntrack_bridge"})
            host.folder(std::string("/sys/module/") + module);
        host.write("/proc/sys/kernel/osrelease", "6.1.0\n");
        host.write("/boot/config-6.1.0", "CONFIG_NFSD=m\n# CONFIG_OTHER is not set\n");
        host.answers("modinfo -n nfsd", "/lib/modules/6.1.0/nfsd.ko\n");
        host.write("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse aes avx\n");
        host.write("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n");
        host.write("/dev/kvm", "");
        host.answers("virsh -c qemu:///system version", "Using library: libvirt 9.0.0\n");
        for (const char* tool : {"nft", "cryptsetup", "dmsetup", "iscsiadm", "iscsid", "exportfs", "rpc.mountd"}) {
            host.write(std::string("/usr/sbin/") + tool, "");
            host.mode(std::string("/usr/sbin/") + tool, 0755);
        }
        host.mode("/dev/kvm", 0660);
        host.answers("timedatectl show -p NTPSynchronized --value", "yes\n");
    }

    [[nodiscard]] std::vector<std::string> found() const { return complaints(examine(host.system(), &spec)); }

    FakeHost host;
    specs::SafeSpec spec = atlas_spec();
};

TEST_F(Doctor, AFitHost) {
    EXPECT_THAT(found(), IsEmpty());
    EXPECT_TRUE(examine(host.system(), nullptr).proved());
}

TEST_F(Doctor, EachFaultByItself) {
    host.write("/proc/self/status", "Uid:\t1000\t1000\t1000\t1000\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("fault rights")));
    host.write("/proc/self/status", "Uid:\t0\t0\t0\t0\n");
    host.write("/proc/cmdline", "quiet\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("fault memory: the kernel does not wipe freed memory")));
    host.write("/proc/cmdline", "init_on_free=1\n");
    host.write("/proc/cpuinfo", "flags\t\t: fpu sse\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("fault processor")));
    host.write("/proc/cpuinfo", "flags\t\t: aes\n");
    host.mode("/dev/kvm", 0600);
    EXPECT_THAT(found(), ElementsAre(HasSubstr("each definition takes a minute")));
    host.remove("/dev/kvm");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("guests are emulated")));
    host.write("/dev/kvm", "");
    host.mode("/dev/kvm", 0666);
    host.answers("virsh -c qemu:///system version", "no socket", 1);
    EXPECT_THAT(found(), ElementsAre(HasSubstr("libvirtd does not answer")));
    host.answers("virsh -c qemu:///system version", "");
    host.remove("/usr/sbin/iscsid");
    EXPECT_THAT(found(), ElementsAre("fault tools: iscsid is not installed"));
}

TEST_F(Doctor, AKernelWithoutAFeatureOrWithoutItsModulesFile) {
    host.remove("/sys/module/dm_crypt");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("the kernel has no dm_crypt")));
    host.write("/boot/config-6.1.0", "CONFIG_NFSD=m\nCONFIG_DM_CRYPT=m\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("dm_crypt is a module, and its file is not installed")));
    host.write("/boot/config-6.1.0", "CONFIG_NFSD=m\nCONFIG_DM_CRYPT=y\n");
    EXPECT_THAT(found(), IsEmpty());
    host.remove("/boot");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown kernel"), StartsWith("unknown kernel")));
}

TEST_F(Doctor, MemoryForAllVmsOneDerivationAndTheHost) {
    host.write("/proc/meminfo", "MemTotal:        2097152 kB\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("2048 MiB, where VMs, one key derivation and the host want 2560 MiB")));
    host.write("/proc/meminfo", "nonsense\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown capacity")));
}

TEST_F(Doctor, AClockThatNothingKeepsRight) {
    host.answers("timedatectl show -p NTPSynchronized --value", "no\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("fault clock")));
    host.answers("timedatectl show -p NTPSynchronized --value", "no bus", 1);
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown clock")));
}

TEST_F(Doctor, WhatASpecDoesNotNeedIsNotDemanded) {
    spec.volumes.clear();
    spec.vms[1].mounts.clear();
    for (const char* module : {"dm_crypt", "iscsi_tcp"}) host.remove(std::string("/sys/module/") + module);
    for (const char* tool : {"cryptsetup", "dmsetup", "iscsiadm", "iscsid", "exportfs", "rpc.mountd"})
        host.remove(std::string("/usr/sbin/") + tool);
    EXPECT_THAT(found(), IsEmpty());
}

}  // namespace
}  // namespace safe::verify::test
