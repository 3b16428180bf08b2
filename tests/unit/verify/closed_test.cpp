// A closed safe: clean it is proved, and each leftover is found by the line that is about it and by what it is.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "specs/identity.hpp"
#include "tests/unit/verify/closed_fixture.hpp"

namespace safe::verify::test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST_F(Closed, ACleanOneIsProvedLineByLine) {
    const Report report = look();
    EXPECT_THAT(complaints(report), IsEmpty());
    EXPECT_TRUE(report.proved());
    std::set<std::string> subjects;
    for (const Finding& finding : report.findings) {
        subjects.insert(finding.subject);
        EXPECT_FALSE(finding.looked_at.empty()) << finding.subject;
        EXPECT_FALSE(finding.found.empty()) << finding.subject;
    }
    EXPECT_THAT(subjects,
                ::testing::IsSupersetOf({"mappings", "keyrings", "mounts", "holders", "iSCSI sessions", "exports",
                                         "NFS clients", "guests", "ports", "firewall", "files", "memory", "swap"}));
    EXPECT_FALSE(report.unprotected.empty());
}

TEST_F(Closed, NothingLookedAtProvesNothing) { EXPECT_FALSE(Report{}.proved()); }

// --- mappings

TEST_F(Closed, AMappingUnderItsOwnName) {
    host.mapping("dm-0", "253:0", "safe-atlas-data", "", "");
    EXPECT_THAT(found(), Contains(HasSubstr("fault mappings: safe-atlas-data (dm-0)")));
    host.remove("/sys/block/dm-0");
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, AMappingUnderAForeignNameIsKnownByTheFileBelowIt) {
    host.loop("loop3", "7:3", "/srv/vault.img");
    host.mapping("dm-0", "253:0", "innocent", "CRYPT-PLAIN-innocent", "loop3");
    EXPECT_THAT(found(), Contains(HasSubstr("fault mappings: innocent (dm-0) is built on volume vault")));
    EXPECT_THAT(found(), Contains(HasSubstr("fault loop devices: loop3 is the file of volume vault")));
}

TEST_F(Closed, AMappingUnderAForeignNameIsKnownByTheHeadersUuid) {
    host.mapping("dm-0", "253:0", "innocent", "CRYPT-LUKS2-99999999888877776666555555555555-innocent", "");
    EXPECT_THAT(found(), Contains(HasSubstr("innocent (dm-0) is built on volume data")));
}

TEST_F(Closed, AMappingOfADeviceItsPartitionAndWhatIsBuiltOnIt) {
    host.write("/sys/block/sdz/sdz1/dev", "8:241\n");
    host.mapping("dm-0", "253:0", "one", "", "sdz1");
    host.mapping("dm-1", "253:1", "two", "", "dm-0");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("one (dm-0) is built on volume disks"),
                                     HasSubstr("two (dm-1) is built on volume disks")));
}

TEST_F(Closed, AMappingOfTheDiskThatASessionBrought) {
    host.disk("sda", "8:0");
    host.session("session1", "iqn.2026-01.org.example:atlas", "192.0.2.10:3260", 2, "sda");
    host.mapping("dm-0", "253:0", "elsewhere", "", "sda");
    EXPECT_THAT(found(), Contains(HasSubstr("elsewhere (dm-0) is built on volume data")));
}

TEST_F(Closed, AMappingOfAVolumeThatLeftTheFile) {
    host.write("/var/lib/safe/atlas/headers/old/record.json", R"({"uuid": "AAAAAAAA-0000-0000-0000-000000000000"})");
    host.mapping("dm-0", "253:0", "x", "CRYPT-LUKS2-aaaaaaaa000000000000000000000000-x", "");
    host.mapping("dm-1", "253:1", "safe-atlas-older", "", "");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("volume old"), HasSubstr("volume older")));
}

TEST_F(Closed, SomebodyElsesMappingIsNotOurs) {
    host.disk("sdb", "8:16");
    host.mapping("dm-0", "253:0", "root_crypt", "CRYPT-LUKS2-00000000000000000000000000000001-root_crypt", "sdb");
    host.loop("loop0", "7:0", "/srv/other.img");
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, ALinkToTheFileIsTheSameFile) {
    host.link("/srv/other.img", "/srv/vault.img");
    host.loop("loop0", "7:0", "/srv/other.img");
    EXPECT_THAT(found(), Contains(HasSubstr("loop0 is the file of volume vault")));
    host.loop("loop0", "7:0", "/srv/vault.img (deleted)");
    EXPECT_THAT(found(), Contains(HasSubstr("loop0 is the file of volume vault")));
}

// --- keys

TEST_F(Closed, AKeyInTheKernel) {
    for (const std::string uuid : {vault_uuid, data_uuid}) {
        host.write(
            "/proc/keys",
            fmt::format("1a2b3c4d I--Q---     1 perm 3f010000     0     0 logon     cryptsetup:{}-d0: 64\n", uuid));
        EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("fault keyrings: logon key cryptsetup:"), HasSubstr(uuid))));
    }
    host.write("/proc/keys",
               "1a2b3c4d I--Q---     1 perm 3f010000     0     0 user      safe:atlas/vault passphrase: 20\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("user key safe:atlas/vault passphrase: 20 of volume vault")));
}

TEST_F(Closed, AKeyOfNobodyIsUnknownWhileAVolumesUuidIs) {
    host.write("/proc/keys",
               "1a2b3c4d I--Q---     1 perm 3f010000     0     0 logon     "
               "cryptsetup:12345678-0000-0000-0000-000000000000-d0: 64\n");
    EXPECT_THAT(found(), IsEmpty());
    host.remove("/var/lib/safe/atlas/headers/data");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown keyrings")));
    host.mapping("dm-0", "253:0", "root", "CRYPT-LUKS2-12345678000000000000000000000000-root", "");
    EXPECT_THAT(found(), IsEmpty());
}

// --- mounts

constexpr const char* data_line = "99 21 253:7 / /mnt/hidden rw - ext4 /dev/mapper/x rw\n";

TEST_F(Closed, AMountInANamespaceOfItsOwnNamesTheProcess) {
    host.mapping("dm-7", "253:7", "safe-atlas-data", "", "");
    host.process(812, "backup", {"backup"}, "mnt:[2]", data_line);
    EXPECT_THAT(found(), Contains(AllOf(
                             HasSubstr("fault mounts: volume data (ext4 from /dev/mapper/x) is mounted on /mnt/hidden"),
                             HasSubstr("process 812 (backup)"))));
}

TEST_F(Closed, AMountInANamespaceOfAThread) {
    host.mapping("dm-7", "253:7", "safe-atlas-data", "", "");
    host.link("/proc/1/task/5/ns/mnt", "mnt:[9]");
    host.write("/proc/1/task/5/mountinfo", data_line);
    EXPECT_THAT(found(), Contains(HasSubstr("fault mounts: volume data")));
}

TEST_F(Closed, ANamespaceThatOnlyABindMountKeepsIsEntered) {
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]", "40 21 0:4 mnt:[77] /run/kept rw - nsfs nsfs rw\n");
    EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("unknown mounts"), HasSubstr("mnt:[77]"))));
    host.mapping("dm-7", "253:7", "safe-atlas-data", "", "");
    host.answers("nsenter --mount=/proc/1/root/run/kept cat /proc/self/mountinfo", data_line);
    EXPECT_THAT(found(), Contains(HasSubstr("a mount namespace without processes")));
}

TEST_F(Closed, ANamespaceThatOnlyADescriptorKeepsIsEntered) {
    host.link("/proc/1/fd/9", "mnt:[78]");
    host.mapping("dm-7", "253:7", "safe-atlas-data", "", "");
    host.answers("nsenter --mount=/proc/1/fd/9 cat /proc/self/mountinfo", data_line);
    EXPECT_THAT(found(), Contains(HasSubstr("a mount namespace without processes")));
}

TEST_F(Closed, AnythingAtOurMountPointsAndOurExportMountedBack) {
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]", "40 21 0:50 / /srv/safe/atlas/data rw - tmpfs tmpfs rw\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("tmpfs (tmpfs from tmpfs) is mounted on /srv/safe/atlas/data")));
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]",
                 "40 21 0:51 / /mnt/x rw - nfs4 10.77.0.1:/srv/safe/atlas/data rw\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("is mounted on /mnt/x")));
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]",
                 "40 21 0:52 / /mnt/x rw - overlay overlay rw,lowerdir=/usr:/srv/safe/atlas/data/x\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("is mounted on /mnt/x")));
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]", "40 21 0:52 / /srv/safe/atlas2/data rw - tmpfs tmpfs rw\n");
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, TheFolderOfMountPointsBoundOnItselfIsOrderAndHidesNoStrayFile) {
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]",
                 "40 21 254:0 /srv/safe/atlas /srv/safe/atlas rw shared:7 - ext4 /dev/vda rw\n");
    EXPECT_THAT(found(), IsEmpty());
    host.write("/srv/safe/atlas/data/report.odt", "x");
    EXPECT_THAT(found(), ElementsAre(StartsWith("fault files")));
    host.remove("/srv/safe/atlas/data");
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]",
                 "40 21 254:0 /home/mallory /srv/safe/atlas rw shared:7 - ext4 /dev/vda rw\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("fault mounts")));
}

TEST_F(Closed, AMountTableOfAnotherFormIsUnknown) {
    host.write("/proc/1/task/1/mountinfo", "nonsense\n");
    host.write("/proc/80/task/80/mountinfo", "nonsense\n");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown mounts")));
}

// --- holders

TEST_F(Closed, AProcessThatHoldsTheFileTheDeviceOrSomethingInside) {
    host.link("/proc/1/fd/3", "/srv/vault.img");
    EXPECT_THAT(found(),
                ElementsAre(HasSubstr("fault holders: process 1 (init) holds /srv/vault.img of volume vault")));
    host.link("/proc/1/fd/3", "/dev/sdz");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("holds /dev/sdz of volume disks")));
    // umount --lazy: in no mount table, and still in use.
    host.write("/mnt/gone/secret.odt", "");
    host.filesystems["/mnt/gone"] = {253, 7};
    host.mapping("dm-7", "253:7", "safe-atlas-data", "", "");
    host.link("/proc/1/fd/3", "/mnt/gone/secret.odt");
    EXPECT_THAT(found(), Contains(HasSubstr("holds /mnt/gone/secret.odt of volume data")));
    host.link("/proc/1/fd/3", "socket:[123]");
    host.link("/proc/80/cwd", "/mnt/gone");
    EXPECT_THAT(found(), Contains(HasSubstr("process 80 (qemu-system-x86) holds /mnt/gone of volume data")));
    host.link("/proc/80/cwd", "/srv");
    host.write("/proc/80/maps", "7f00-7f01 r--p 00000000 fd:07 131 /mnt/gone/secret.odt\n");
    EXPECT_THAT(found(), Contains(HasSubstr("process 80 (qemu-system-x86) holds /mnt/gone/secret.odt")));
}

TEST_F(Closed, AProcessThatHidesItsFilesIsUnknownInOneLine) {
    host.link("/proc/1/fd/3", "/tmp/a");
    host.link("/proc/1/fd/4", "/tmp/b");
    host.forbidden = {"/proc/1/fd/3", "/proc/1/fd/4"};
    EXPECT_THAT(found(), ElementsAre(AllOf(StartsWith("unknown holders"), HasSubstr("process 1 (init), and 1 more"))));
}

// --- sessions, exports, NFS

TEST_F(Closed, ASessionToOurTargetByWhateverPortal) {
    host.session("session4", "iqn.2026-01.org.example:atlas", "198.51.100.9:3260", 7, "");
    EXPECT_THAT(found(), ElementsAre(HasSubstr(
                             "fault iSCSI sessions: a session to iqn.2026-01.org.example:atlas by 198.51.100.9:3260")));
    host.remove("/sys/class/iscsi_session/session4");
    host.session("session5", "iqn.2026-01.org.example:elsewhere", "192.0.2.10:3260", 1, "");
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, AnExportOfOurPathInEitherTable) {
    for (const char* table : {"/var/lib/nfs/etab", "/proc/fs/nfsd/exports", "/proc/net/rpc/nfsd.export/content"}) {
        const FakeHost other;
        other.write("/proc/net/rpc/nfsd.export/content", "#path domain(flags)\n");
        other.folder("/proc/fs/nfsd/clients");
        other.write(table, "/srv/safe/atlas/data\t198.51.100.1(rw,sync)\n/home 198.51.100.2(ro)\n");
        EXPECT_THAT(
            complaints(verify(other.system(), spec, places, model::Mode::closed)),
            ElementsAre(HasSubstr("fault exports: /srv/safe/atlas/data is exported to 198.51.100.1, read-write")))
            << table;
        other.write(table, "# /srv/safe/atlas/data\t198.51.100.1(rw,sync)\n");
        EXPECT_THAT(complaints(verify(other.system(), spec, places, model::Mode::closed)), IsEmpty()) << table;
    }
}

TEST_F(Closed, AnExportToIpv6IsNamedAsExportfsTakesIt) {
    for (const auto& [client, argument] :
         std::vector<std::pair<std::string, std::string>>{{"2001:db8::/32", "[2001:db8::]/32"},
                                                          {"fd00::1", "[fd00::1]"},
                                                          {"fd00::1/128", "[fd00::1]"},
                                                          {"10.77.0.99/32", "10.77.0.99"}}) {
        host.write("/var/lib/nfs/etab", "/srv/safe/atlas/data\t" + client + "(rw,sync)\n");
        const std::vector<Finding> findings = look().findings;
        const auto fault = std::ranges::find(findings, Verdict::fault, &Finding::verdict);
        ASSERT_NE(fault, findings.end()) << client;
        EXPECT_EQ(fault->advice, "exportfs -u " + argument + ":/srv/safe/atlas/data") << client;
    }
}

TEST_F(Closed, AServerWhoseTablesAreNotThereIsUnknown) {
    host.folder("/sys/module/nfsd");
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown exports"), StartsWith("unknown NFS clients")));
}

TEST_F(Closed, StateThatTheServerKeepsForASleepingGuest) {
    host.write("/proc/fs/nfsd/exports", "# Version 1.1\n");
    host.write("/proc/fs/nfsd/clients/3/info", "clientid: 0x1\naddress: \"10.77.0.20:863\"\nstatus: confirmed\n");
    host.write("/proc/fs/nfsd/clients/3/states", "");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault NFS clients: the server still knows desktop (10.77.0.20)")));
    host.write("/proc/fs/nfsd/clients/3/info", "address: \"198.51.100.1:863\"\n");
    EXPECT_THAT(found(), IsEmpty());
    host.mapping("dm-7", "253:7", "safe-atlas-data", "", "");
    host.write("/proc/fs/nfsd/clients/3/states", "- 0x1: { type: open, superblock: \"fd:07:131\", filename: \"a\" }\n");
    EXPECT_THAT(found(), Contains(HasSubstr("the server keeps files of volume data open for 198.51.100.1")));
}

// --- guests

std::vector<std::string> desktop_command() {
    return {"/usr/bin/qemu-system-x86_64", "-name", "guest=atlas-desktop,debug-threads=on"};
}

TEST_F(Closed, WithSuspendDiskNoProcessMayBeThere) {
    host.process(90, "qemu-system-x86", desktop_command());
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault guests: desktop is there: process 90 (qemu-system-x86)")));
    // Under another name, by its UUID; by a name without guest=; and one that the file no longer declares.
    host.process(90, "qemu-system-x86", {"qemu", "-name", "guest=other", "-uuid", specs::uuid_of("atlas", "desktop")});
    EXPECT_THAT(found(), ElementsAre(HasSubstr("desktop is there")));
    host.process(90, "qemu-system-x86", {"qemu", "-name", "atlas-desktop"});
    EXPECT_THAT(found(), ElementsAre(HasSubstr("desktop is there")));
    host.process(90, "qemu-system-x86", {"qemu", "-name", "guest=atlas-old"});
    EXPECT_THAT(found(), ElementsAre(HasSubstr("atlas-old, which the file does not declare")));
    host.process(90, "find", {"find", "/", "-name", "atlas-desktop"});
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, WithSuspendRamItsProcessorsMustStandStill) {
    spec = atlas_spec("ram");
    host.mapping("dm-9", "253:9", "safe-atlas-disks", "CRYPT-LUKS2-33333333000000000000000000000000-safe-atlas-disks",
                 "sdz");
    host.process(1, "init", {"/sbin/init"}, "mnt:[1]",
                 "40 21 253:9 / /srv/safe/atlas/disks rw - ext4 /dev/mapper/safe-atlas-disks rw\n");
    host.process(90, "qemu-system-x86", desktop_command());
    host.answers("virsh -c qemu:///system domstate atlas-desktop", "paused\n\n");
    const Report asleep = look();
    EXPECT_THAT(complaints(asleep), IsEmpty());
    EXPECT_THAT(asleep.unprotected,
                Contains(HasSubstr("with suspend: ram the memory of sleeping guests is there in the clear")));
    EXPECT_THAT(asleep.unprotected, Contains(HasSubstr("for volume disks: with suspend: ram it stays open")));

    host.answers("virsh -c qemu:///system domstate atlas-desktop", "running\n\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault guests: desktop is running")));
    host.answers("virsh -c qemu:///system domstate atlas-desktop", "no\n", 1);
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown guests")));

    // libvirt says paused, and its processors work.
    host.answers("virsh -c qemu:///system domstate atlas-desktop", "paused\n\n");
    host.before_run = [&](const std::string& command) {
        if (command.ends_with("atlas-desktop"))
            host.write("/proc/90/task/90/stat", "90 (CPU 0/KVM) R 1 1 1 0 -1 0 0 0 0 0 71 30 0 0 20 0 1 0 5\n");
    };
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault guests: the processors of desktop work")));
}

TEST_F(Closed, ServiceVmsRunInEveryMode) {
    host.remove("/proc/80");
    EXPECT_THAT(found(), ElementsAre("fault guests: gateway does not run"));
}

// --- files and the machine

TEST_F(Closed, FilesThatOthersMayRead) {
    host.owners["/var/lib/safe/atlas/headers/data/record.json"] = 1000;
    host.owners["/etc/safe/atlas/chap"] = 1000;
    EXPECT_THAT(found(), ElementsAre(HasSubstr("fault files: it does not belong to root"),
                                     HasSubstr("fault files: it is not a file of root's alone")));
}

TEST_F(Closed, WhatLiesOutsideTheVault) {
    for (const std::string path :
         {"/var/lib/safe/atlas/keys/data.key", "/run/safe/atlas/data.key", "/etc/safe/atlas/data.key",
          "/var/lib/safe/atlas/memory/desktop.save", "/var/lib/libvirt/qemu/save/atlas-desktop.save",
          "/var/lib/safe/atlas/disks/desktop.qcow2", "/var/lib/safe/atlas/disks/desktop.seed/0a.iso",
          "/srv/safe/atlas/data/report.odt"}) {
        host.write(path, "x");
        const Report report = look();
        ASSERT_THAT(complaints(report), ElementsAre(StartsWith("fault files"))) << path;
        EXPECT_TRUE(std::ranges::any_of(report.findings, [&](const Finding& one) {
            return one.verdict == Verdict::fault && one.looked_at == path;
        })) << path;
        host.remove(path);
    }
    host.write("/etc/safe/atlas/gateway.key", "a certificate's, no volume's");
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, WithoutInitOnFreeItSaysSoPlainly) {
    host.write("/proc/cmdline", "root=/dev/vda1\n");
    const Report report = look();
    EXPECT_FALSE(report.proved());
    EXPECT_THAT(complaints(report),
                ElementsAre(AllOf(HasSubstr("fault memory"), HasSubstr("does not wipe freed memory"))));
    EXPECT_THAT(report.unprotected, Contains(HasSubstr("boot with init_on_free=1")));
}

TEST_F(Closed, ALoadedCrashKernelAndSwapInTheClear) {
    host.write("/sys/kernel/kexec_crash_loaded", "1\n");
    host.write("/proc/swaps", "Filename Type Size Used Priority\n/swapfile file 1 0 -2\n");
    host.write("/swapfile", "");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("a crash kernel is loaded"),
                                     HasSubstr("fault swap: /swapfile is swap in the clear")));
}

TEST_F(Closed, SwapOnAnEncryptedDeviceIsNone) {
    host.disk("sdb", "8:16");
    host.mapping("dm-3", "253:3", "cryptswap", "CRYPT-PLAIN-cryptswap", "sdb");
    host.mapping("dm-4", "253:4", "vg-swap", "LVM-x", "dm-3");
    host.write("/dev/dm-4", "block 253:4");
    host.write("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-4 partition 1 0 -2\n");
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Closed, WithoutSysfsOrProcfsNothingIsProved) {
    host.remove("/sys/block");
    EXPECT_THAT(found(), AllOf(Contains(StartsWith("unknown mappings")), Contains(StartsWith("unknown mounts")),
                               Contains(StartsWith("unknown keyrings")), Contains(StartsWith("unknown holders"))));
    host.remove("/proc");
    EXPECT_THAT(found(), AllOf(Contains(StartsWith("unknown guests")), Contains(StartsWith("unknown swap")),
                               Contains(StartsWith("unknown memory"))));
}

}  // namespace
}  // namespace safe::verify::test
