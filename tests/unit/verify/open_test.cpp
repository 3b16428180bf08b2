// An open safe: everything declared is there, to exactly those it was declared for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/nftables/rule_text.hpp"
#include "specs/identity.hpp"
#include "tests/unit/verify/fake_host.hpp"

namespace safe::verify::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* target = "iqn.2026-01.org.example:atlas";
constexpr const char* mounted =
    "40 21 253:1 / /srv/safe/atlas/vault rw - ext4 /dev/mapper/safe-atlas-vault rw\n"
    "41 21 253:2 / /srv/safe/atlas/data rw - ext4 /dev/mapper/safe-atlas-data rw\n"
    "42 21 253:3 / /srv/safe/atlas/disks rw - ext4 /dev/mapper/safe-atlas-disks rw\n";

class Open : public ::testing::Test {
 protected:
    Open() {
        host.loop("loop0", "7:0", "/srv/vault.img");
        host.disk("sda", "8:0");
        host.session("session1", target, "192.0.2.10:3260", 2, "sda");
        host.mapping("dm-1", "253:1", "safe-atlas-vault", "CRYPT-LUKS2-11111111222233334444555555555555-x", "loop0");
        host.mapping("dm-2", "253:2", "safe-atlas-data", "CRYPT-LUKS2-99999999888877776666555555555555-x", "sda");
        host.mapping("dm-3", "253:3", "safe-atlas-disks", "CRYPT-LUKS2-33333333000000000000000000000000-x", "sdz");
        host.process(1, "init", {"/sbin/init"}, "mnt:[1]", mounted);
        // As mount propagation has it.
        host.process(80, "qemu-system-x86", {"qemu", "-name", "guest=atlas-gateway"}, "mnt:[2]", mounted);
        host.process(90, "qemu-system-x86", {"qemu", "-name", "guest=atlas-desktop"}, "mnt:[1]", mounted);
        host.answers("virsh -c qemu:///system domstate atlas-desktop", "running\n\n");
        host.port("desktop");
        host.write("/var/lib/nfs/etab", "/srv/safe/atlas/data\t10.77.0.20(rw,sync,root_squash)\n");
        host.write("/proc/fs/nfsd/exports", "/srv/safe/atlas/data\t10.77.0.20/32(rw,sync)\n");
        host.write("/proc/fs/nfsd/clients/3/info", "address: \"10.77.0.20:863\"\n");
        host.write("/proc/fs/nfsd/clients/3/states",
                   "- 0x1: { type: open, superblock: \"fd:02:131\", filename: \"a\" }\n");
        host.compiled_rules("open", spec);
        host.compiled_rules("storage", spec);
    }

    [[nodiscard]] Report look() const { return verify(host.system(), spec, places, model::Mode::open); }
    [[nodiscard]] std::vector<std::string> found() const { return complaints(look()); }

    FakeHost host;
    specs::SafeSpec spec = atlas_spec();
    driver::Places places{"atlas", "/var/lib/safe/atlas"};
};

TEST_F(Open, AsDeclaredItIsProvedAndSaysWhatRootCanDo) {
    const Report report = look();
    EXPECT_THAT(complaints(report), IsEmpty());
    EXPECT_TRUE(report.proved());
    EXPECT_THAT(report.unprotected, Contains(HasSubstr("root on the hypervisor")));
    EXPECT_THAT(report.unprotected, Contains(HasSubstr("lockdown: integrity")));
}

TEST_F(Open, TheSameMachineIsAnythingButClosed) {
    const std::vector<std::string> lines = complaints(verify(host.system(), spec, places, model::Mode::closed));
    for (const char* subject :
         {"iSCSI sessions", "loop devices", "mappings", "mounts", "exports", "NFS clients", "guests", "firewall"})
        EXPECT_THAT(lines, Contains(StartsWith(std::string("fault ") + subject)));
}

TEST_F(Open, TheWayToAnExportIsNoExportOfItsOwn) {
    const std::string there = "/srv/safe/atlas/data\t10.77.0.20/32(rw,sync)\n/srv/safe/atlas\t";
    host.write("/proc/fs/nfsd/exports", there + "10.77.0.20/32(ro,root_squash,sync,v4root,fsid=0)\n");
    EXPECT_THAT(found(), IsEmpty());
    for (const char* other :
         {"10.77.0.20/32(ro,sync)", "10.77.0.20/32(rw,sync,v4root)", "10.77.0.9/32(ro,sync,v4root)"}) {
        host.write("/proc/fs/nfsd/exports", there + other + "\n");
        EXPECT_THAT(found(), ElementsAre(HasSubstr("/srv/safe/atlas is exported"))) << other;
    }
}

TEST_F(Open, AVolumeThatIsNotOpenedOrSuspendedOrNotEncrypted) {
    host.write("/sys/block/dm-2/dm/suspended", "1\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("safe-atlas-data is suspended")));
    host.mapping("dm-2", "253:2", "safe-atlas-data", "LINEAR-x", "sda");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("safe-atlas-data is no encrypted mapping")));
    host.remove("/sys/block/dm-2");
    EXPECT_THAT(found(), Contains("fault mappings: volume data is not opened"));
}

TEST_F(Open, ASecondMappingOfAVolume) {
    host.mapping("dm-8", "253:8", "copy", "CRYPT-LUKS2-99999999888877776666555555555555-copy", "sda");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("copy (dm-8) is built on volume data, and nobody declared it")));
}

TEST_F(Open, AMountElsewhereOrWithOtherRights) {
    host.process(7, "sh", {"sh"}, "mnt:[3]", "43 21 253:1 / /mnt/vault rw - ext4 /dev/mapper/safe-atlas-vault rw\n");
    EXPECT_THAT(
        found(),
        ElementsAre(HasSubstr("volume vault (ext4 from /dev/mapper/safe-atlas-vault) is mounted on /mnt/vault")));
    host.remove("/proc/7");
    spec.volumes[1].access.value = specs::Access::read_only;
    EXPECT_THAT(found(),
                Contains(HasSubstr("fault mounts: volume data is not mounted on /srv/safe/atlas/data, read-only")));
}

TEST_F(Open, ASessionThatDoesNotAnswerOrComesByAnotherPortal) {
    host.write("/sys/class/iscsi_session/session1/state", "FAILED\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("storage does not answer")));
    host.session("session1", target, "198.51.100.9:3260", 2, "sda");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("no session to"), HasSubstr("a session to")));
}

TEST_F(Open, ExportsToOthersOrWithOtherRightsOrNone) {
    host.write("/var/lib/nfs/etab", "/srv/safe/atlas/data\t10.77.0.20(rw)\n/srv/safe/atlas/vault\t10.77.0.20(rw)\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("/srv/safe/atlas/vault is exported to 10.77.0.20")));
    host.write("/var/lib/nfs/etab", "/srv/safe/atlas/data\t*(rw)\n");
    EXPECT_THAT(found(),
                ElementsAre(HasSubstr("data is exported to *"), HasSubstr("not exported: volume data to desktop")));
    host.write("/var/lib/nfs/etab", "/srv/safe/atlas/data\t10.77.0.20(ro)\n");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("read-only"), HasSubstr("not exported")));
}

TEST_F(Open, AClientWithoutAnyMountHasFilesOpen) {
    host.write("/proc/fs/nfsd/clients/3/info", "address: \"10.77.0.2:863\"\n");
    EXPECT_THAT(found(),
                ElementsAre(HasSubstr("fault NFS clients: gateway (10.77.0.2) has files of volume data open")));
}

TEST_F(Open, AGuestThatIsPausedOrNotThere) {
    host.answers("virsh -c qemu:///system domstate atlas-desktop", "paused\n\n");
    EXPECT_THAT(found(), ElementsAre("fault guests: desktop is paused"));
    host.remove("/proc/90");
    EXPECT_THAT(found(), ElementsAre("fault guests: desktop does not run"));
}

TEST_F(Open, RulesMissingOrSlippedIn) {
    host.rule("open", "slipped in", R"([{"accept": null}])");
    EXPECT_THAT(found(), ElementsAre("fault firewall: a rule that nobody declared: slipped in"));
    host.compiled_rules("open", spec);
    host.rule("open", "users-to-desktop: tcp/22", R"([{"drop": null}])");
    EXPECT_THAT(found(), ElementsAre("fault firewall: two rules with one name: users-to-desktop: tcp/22"));
    host.no_rules("open");
    for (const char* name : {"implied/whatever", "implied/logs/nobody: tcp/1", "implied/nfs/desktop: tcp/2049"}) {
        host.rule("open", name, R"([{"accept": null}])");
        EXPECT_THAT(found(), ElementsAre(HasSubstr("a rule that nobody declared"))) << name;
        host.no_rules("open");
    }
    host.no_rules("storage");
    EXPECT_THAT(found(), ElementsAre("fault firewall: a declared rule is missing: users-to-desktop",
                                     "fault firewall: a declared rule is missing: implied/nfs/desktop"));
}

TEST_F(Open, ARuleThatLetsThroughMoreThanItsName) {
    const std::string tap = specs::tap_of("atlas", "desktop");
    const std::string gateway = specs::tap_of("atlas", "gateway");
    const std::string ends = "iifname " + gateway + " oifname " + tap + " ";
    const std::string addresses = "ip saddr 10.78.0.0/24 ip daddr 10.77.0.20 ";
    const std::string first = "ct direction original ct state established,new counter accept";
    const auto put = [&](const std::string& text) {
        host.first_rule("open", "users-to-desktop: more", nftables::parse_rule_text(text).value().dump());
    };
    put(ends + addresses + "tcp dport 22 " + first);
    EXPECT_THAT(found(), IsEmpty());
    for (const std::string& text :
         {ends + addresses + "tcp dport 0-65535 " + first, ends + "tcp dport 22 " + first,
          addresses + "tcp dport 22 " + first, ends + addresses + "tcp dport 22 counter accept",
          ends + addresses + "tcp sport 22 ct direction reply ct state established,new counter accept",
          ends + addresses + "ip protocol icmp counter accept", std::string("counter accept")}) {
        host.compiled_rules("open", spec);
        put(text);
        EXPECT_THAT(found(), ElementsAre("fault firewall: a rule lets through more than the spec allows: "
                                         "users-to-desktop: more"))
            << text;
    }
    host.compiled_rules("open", spec);
    // The name of what would be implied, had the spec a monitor.
    host.first_rule("open", "implied/logs/desktop: tcp/6514", R"([{"accept": null}])");
    EXPECT_THAT(found(), ElementsAre(HasSubstr("more than the spec allows")));
}

TEST_F(Open, WhatLeftTheFileIsNeitherAskedForNorForbidden) {
    spec.volumes.erase(spec.volumes.begin() + 1);
    spec.vms[1].mounts.clear();
    host.remove("/var/lib/nfs/etab");
    host.remove("/proc/fs/nfsd");
    for (const std::string& line : found()) EXPECT_THAT(line, Not(HasSubstr("mappings")));
}

TEST_F(Open, OtherHypervisorsAreAskedThroughVirsh) {
    spec.hypervisor.value = "xen:///system";
    EXPECT_THAT(found(), ElementsAre(StartsWith("unknown guests")));
    host.answers("virsh -c xen:///system list --name --state-running", "atlas-gateway\n\n");
    EXPECT_THAT(found(), ElementsAre("fault guests: desktop does not run"));
    host.answers("virsh -c xen:///system list --name --state-running", "atlas-gateway\natlas-desktop\n\n");
    EXPECT_THAT(found(), IsEmpty());
}

}  // namespace
}  // namespace safe::verify::test
