// Others' objects under our names, a libvirtd that goes away, files that are not what they should be.
#include "reconciler/base/digest.hpp"
#include "tests/system/libvirt/libvirt_fixture.hpp"

namespace safe::test {
namespace {

class BadDay : public LibvirtTest {
 protected:
    void define(const std::string& name, const std::string& uuid) const {
        write("foreign.xml",
              "<domain type='qemu'><name>" + name + "</name><uuid>" + uuid +
                  "</uuid><memory unit='MiB'>64</memory><os><type machine='pc'>hvm</type></os></domain>");
        libvirtd_->virsh({"define", (home_.path() / "foreign.xml").string()});
    }

    void define_network(const std::string& name, const std::string& bridge) const {
        write("foreign.xml", "<network><name>" + name + "</name><bridge name='" + bridge + "'/></network>");
        libvirtd_->virsh({"net-define", (home_.path() / "foreign.xml").string()});
    }
};

TEST_F(BadDay, AVmOfSomebodyElseUnderOurNameIsRefusedAndNotTouched) {
    define("t-gate", "11111111-2222-3333-4444-555555555555");
    const std::string before = libvirtd_->virsh({"dumpxml", "t-gate"});
    const model::Plan refused = plan(two_vms(), Mode::open);
    EXPECT_NE(steps(refused).find("refused vm/gate\nrefused power/gate"), std::string::npos) << steps(refused);
    EXPECT_NE(failures(apply(two_vms(), Mode::open)), "");
    EXPECT_EQ(libvirtd_->virsh({"dumpxml", "t-gate"}), before);
    EXPECT_EQ(domains(), "t-gate shut off");
    EXPECT_FALSE(fs::exists(state() / "images"));
}

TEST_F(BadDay, AVmUnderOurUuidIsRefused) {
    define("somebody", specs::uuid_of("t", "gate"));
    EXPECT_NE(steps(plan(two_vms(), Mode::closed)).find("refused vm/gate"), std::string::npos);
}

TEST_F(BadDay, ACloneOfOursIsNotTakenForOurs) {
    converge(two_vms(), Mode::closed);
    std::string xml = libvirtd_->virsh({"dumpxml", "--inactive", "t-gate"});
    xml.replace(xml.find("t-gate"), 6, "clone");
    xml.replace(xml.find(specs::uuid_of("t", "gate")), 36, "11111111-2222-3333-4444-555555555555");
    write("clone.xml", xml);
    libvirtd_->virsh({"define", (home_.path() / "clone.xml").string()});
    const model::Plan after = plan(two_vms(), Mode::closed);
    EXPECT_EQ(steps(after), "");
    EXPECT_TRUE(after.orphaned.empty());
    EXPECT_TRUE(std::ranges::any_of(
        after.notes, [](const std::string& note) { return note.find("a clone?") != std::string::npos; }));
}

TEST_F(BadDay, ANetworkOfSomebodyElseUnderOurNameIsRefusedAndNotTouched) {
    define_network("safe-t", "br-other");
    EXPECT_NE(steps(plan(two_vms(), Mode::closed)).find("refused network/t"), std::string::npos);
    EXPECT_NE(failures(apply(two_vms(), Mode::closed)), "");
    EXPECT_NE(libvirtd_->virsh({"net-dumpxml", "safe-t"}).find("br-other"), std::string::npos);
}

TEST_F(BadDay, ABridgeOfAnotherNetworkIsNotTaken) {
    define_network("other", "br-t");
    const model::Report report = apply(two_vms(), Mode::closed);
    EXPECT_NE(failures(report).find("br-t"), std::string::npos) << failures(report);
    EXPECT_EQ(libvirtd_->virsh({"net-list", "--all", "--name"}), "other");
}

TEST_F(BadDay, WithoutLibvirtdEverythingIsUnknownAndNothingAbsent) {
    converge(two_vms(), Mode::open);
    const specs::SafeSpec spec = load(two_vms());
    applying::DriverSet set = drivers();  // one connection through it all
    EXPECT_EQ(steps(look_and_plan({.spec = spec, .mode = Mode::open}, set, {}).plan), "");
    libvirtd_->stop();
    const model::Plan blind = look_and_plan({.spec = spec, .mode = Mode::open}, set, {}).plan;
    EXPECT_TRUE(blind.steps.empty());
    EXPECT_EQ(blind.unknown.size(), 5U) << steps(blind);
    EXPECT_FALSE(blind.blind.empty());
    const model::Plan again = look_and_plan({.spec = spec, .mode = Mode::open}, set, {}).plan;
    ASSERT_EQ(again.unknown.size(), 5U);
    EXPECT_NE(again.unknown[0].error.advice.find("systemctl start libvirtd"), std::string::npos)
        << to_text(again.unknown[0].error);
    libvirtd_->start();
    EXPECT_EQ(steps(look_and_plan({.spec = spec, .mode = Mode::open}, set, {}).plan), "");
}

TEST_F(BadDay, ALibvirtdThatHasLostItsRecordsIsNotBelievedWhileGuestsRun) {
    converge(two_vms(), Mode::open);
    libvirtd_->stop();
    const fs::path aside = home_.path() / "aside";
    fs::create_directory(aside);
    for (const char* folder : {"/etc/libvirt/qemu", "/run/libvirt/qemu", "/run/libvirt/network"}) {
        libvirtd_->must({"cp", "-a", "--parents", folder, aside.string()});
        libvirtd_->must({"rm", "-rf", folder});
    }
    libvirtd_->start();
    ASSERT_EQ(domains(), "");
    for (const Mode mode : {Mode::open, Mode::closed, Mode::locked}) {
        const model::Plan blind = plan(two_vms(), mode);
        EXPECT_TRUE(blind.steps.empty()) << steps(blind);
        EXPECT_NE(steps(blind).find("unknown vm/gate"), std::string::npos) << steps(blind);
        EXPECT_NE(steps(blind).find("unknown network/t"), std::string::npos) << steps(blind);
        EXPECT_TRUE(apply(two_vms(), mode).outcomes.empty());
        EXPECT_EQ(domains(), "");
        EXPECT_EQ(libvirtd_->virsh({"net-list", "--all", "--name"}), "");
    }
    libvirtd_->stop();
    for (const char* folder : {"/etc/libvirt/qemu", "/run/libvirt/qemu", "/run/libvirt/network"}) {
        libvirtd_->must({"rm", "-rf", folder});
        libvirtd_->must({"cp", "-a", aside.string() + folder, folder});
    }
    libvirtd_->start();
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    converge(two_vms(), Mode::open);
}

TEST_F(BadDay, AGuestThatCannotStartIsSaidAndTheOthersGoOn) {
    write("kernel", "this is no kernel");
    const model::Report report = apply(two_vms(), Mode::open);
    EXPECT_NE(failures(report).find("power/desk"), std::string::npos) << failures(report);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    write("kernel", halting_kernel());
    converge(two_vms(), Mode::open);
}

TEST_F(BadDay, AWrongChecksumIsRefusedWithBothDigestsAndNothingIsKept) {
    const std::string wrong(64, 'a');
    const std::string pinned = two_vms({{"image: disk.img,", "image: disk.img, sha256: " + wrong + ","}});
    const std::string said = failures(apply(pinned, Mode::closed));
    EXPECT_NE(said.find(wrong), std::string::npos) << said;
    EXPECT_NE(said.find(base::sha256_hex(std::string(std::size_t{1} << 20, '\0'))), std::string::npos) << said;
    EXPECT_TRUE(fs::is_empty(state() / "images" / "disk.img"));
    EXPECT_EQ(domains(), "t-desk shut off");
}

TEST_F(BadDay, AMissingImageIsSaidInThePlan) {
    fs::remove(home_.path() / "kernel");
    const model::Report report = apply(two_vms(), Mode::closed);
    const std::string said = failures(report) + steps(report.remaining);
    EXPECT_NE(said.find("image/kernel"), std::string::npos) << said;
    EXPECT_EQ(domains(), "t-gate running") << "what does not need it goes on";
}

TEST_F(BadDay, AnImageThatNamesAnotherFileIsNotUsed) {
    libvirtd_->must({"qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw",
                     (home_.path() / "evil.qcow2").string(), "1M"});
    const std::string evil = two_vms({{"image: disk.img", "image: evil.qcow2"}});
    const std::string said = failures(apply(evil, Mode::closed));
    EXPECT_NE(said.find("it rests on another file, /etc/shadow"), std::string::npos) << said;
    EXPECT_FALSE(fs::exists(state() / "disks" / "gate.qcow2"));
    EXPECT_EQ(domains(), "t-desk shut off");
}

TEST_F(BadDay, AFullDiskIsSaidAndNothingHalfIsLeft) {
    fs::create_directories(state());
    ASSERT_EQ(::mount("tmpfs", state().c_str(), "tmpfs", 0, "size=512k,mode=0711"), 0);
    const std::string said = failures(apply(two_vms(), Mode::closed));
    EXPECT_NE(said.find("No space left on device; free some space there and apply again"), std::string::npos) << said;
    EXPECT_TRUE(fs::is_empty(state() / "images" / "disk.img"));
    ::umount(state().c_str());
}

TEST_F(BadDay, AForeignFileInTheDisksPlaceIsRefusedAndNotTouched) {
    fs::create_directories(state() / "disks");
    std::ofstream(state() / "disks" / "gate.qcow2") << "somebody's";
    EXPECT_NE(steps(plan(two_vms(), Mode::closed)).find("refused disk/gate"), std::string::npos);
    EXPECT_EQ(fs::file_size(state() / "disks" / "gate.qcow2"), 10U);
}

}  // namespace
}  // namespace safe::test
