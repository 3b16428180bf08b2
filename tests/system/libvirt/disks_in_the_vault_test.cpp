// Disks of workspace machines that lie in the vault, beside their saved memory: what fits together, what grows and
// when, and what is refused while the vault is away.
#include <fmt/format.h>

#include "tests/system/libvirt/suspend_fixture.hpp"

namespace safe::test {
namespace {

class DisksInTheVault : public SuspendToDisk {
 protected:
    /// desk on a disk as well.
    [[nodiscard]] specs::SafeSpec with_disk(const std::string& disk = "image: disk.img") const {
        std::string text = saving;
        const std::string boot = "boot: { kernel: kernel, cmdline: quiet }";
        text.replace(text.find(boot), boot.size(), disk);
        return spec(text);
    }
    /// desk has left the file, and with it what it says of sleeping.
    [[nodiscard]] specs::SafeSpec left() const {
        specs::SafeSpec spec = with_disk();
        std::erase_if(spec.vms, [](const specs::VmSpec& vm) { return vm.name == "desk"; });
        spec.suspend.reset();
        return spec;
    }
    void comes_back() const {
        EXPECT_EQ(domains(), "t-desk shut off; t-gate running") << "nothing holds its disk";
        EXPECT_TRUE(fs::exists(memory("desk.save")));
        EXPECT_NE(steps(look(with_disk(), Mode::open)).find("add power/desk restore"), std::string::npos);
        reach(with_disk(), Mode::open);
    }
};

TEST_F(DisksInTheVault, MadeLargerWhileItsMemoryIsSavedItWakesAndThenGrows) {
    const specs::SafeSpec small = with_disk("image: disk.img, disk: 8MiB");
    const specs::SafeSpec large = with_disk("image: disk.img, disk: 16MiB");
    reach(small, Mode::open);
    reach(small, Mode::closed);
    EXPECT_EQ(steps(look(large, Mode::open)), "change disk/desk note size\nadd power/desk restore\n");
    reach(large, Mode::closed);
    const model::Plan closed = look(large, Mode::closed);
    EXPECT_TRUE(std::ranges::any_of(closed.notes, [](const std::string& note) {
        return note.find("disk/desk grows to 16 MiB when its machine runs again") != std::string::npos;
    }));
    EXPECT_EQ(steps(look(large, Mode::open)), "add power/desk restore\n");
    reach(large, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-desk", "vda"}).find("16777216"), std::string::npos);
    // And in one go.
    reach(large, Mode::closed);
    const specs::SafeSpec largest = with_disk("image: disk.img, disk: 32MiB");
    reach(largest, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-desk", "vda"}).find("33554432"), std::string::npos);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(DisksInTheVault, AskedForAndTakenBackWhileItsMemoryIsSavedTheDiskStaysAsItIs) {
    const specs::SafeSpec small = with_disk("image: disk.img, disk: 8MiB");
    reach(small, Mode::open);
    reach(small, Mode::closed);
    reach(with_disk("image: disk.img, disk: 16MiB"), Mode::closed);
    reach(small, Mode::closed);
    reach(small, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-desk", "vda"}).find("8388608"), std::string::npos);
}

TEST_F(DisksInTheVault, MadeLargerByTheRunThatPutsItsMachineToSleepItSleepsAndWakes) {
    reach(with_disk("image: disk.img, disk: 8MiB"), Mode::open);
    const specs::SafeSpec large = with_disk("image: disk.img, disk: 16MiB");
    reach(large, Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    reach(large, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-desk", "vda"}).find("16777216"), std::string::npos);
}

TEST_F(DisksInTheVault, GivenUpMemoryLetsTheDiskGrowBeforeItsMachineBoots) {
    const specs::SafeSpec small = with_disk("image: disk.img, disk: 8MiB");
    reach(small, Mode::open);
    reach(small, Mode::closed);
    specs::SafeSpec large = with_disk("image: disk.img, disk: 16MiB");
    reach(large, Mode::closed);
    large.hypervisor.value = PrivateLibvirtd::uri;
    ASSERT_TRUE(libvirt::discard_state(setting(large), "desk"));
    EXPECT_EQ(steps(look(large, Mode::closed)), "change disk/desk grow size\n");
    reach(large, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-desk", "vda"}).find("16777216"), std::string::npos);
}

TEST_F(DisksInTheVault, AWorkspacesDiskLiesThereAndAServicesDoesNot) {
    reach(with_disk(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    EXPECT_TRUE(fs::exists(vault() / "disks" / "desk.qcow2"));
    EXPECT_FALSE(fs::exists(state() / "disks" / "desk.qcow2"));
    EXPECT_TRUE(fs::exists(state() / "disks" / "gate.qcow2"));
    reach(with_disk(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    reach(with_disk(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(DisksInTheVault, OldMemoryIsNotRestoredOverANewerDisk) {
    reach(with_disk(), Mode::open);
    reach(with_disk(), Mode::closed);
    std::fstream(vault() / "disks" / "desk.qcow2", std::ios::in | std::ios::out | std::ios::binary).seekp(72).put('\0');
    const std::string said = failures(go(with_disk(), Mode::open));
    EXPECT_NE(said.find("was written to after the memory was saved"), std::string::npos) << said;
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
}

TEST_F(DisksInTheVault, RestoredAndCutOffItsMemoryStillFitsItsDisk) {
    reach(with_disk(), Mode::open);
    reach(with_disk(), Mode::closed);
    libvirtd_->virsh({"restore", "--paused", memory("desk.save").string()});
    EXPECT_EQ(failures(close_at_once(with_disk())), "");
    EXPECT_EQ(steps(look(with_disk(), Mode::open)), "add power/desk restore\n");
    reach(with_disk(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(DisksInTheVault, WhileItIsNotMountedTheDiskIsDeferredAndNotMissing) {
    reach(with_disk(), Mode::open);
    reach(with_disk(), Mode::closed);
    ASSERT_EQ(::umount2(vault().c_str(), MNT_DETACH), 0);
    const model::Plan closed = look(with_disk(), Mode::closed);
    EXPECT_EQ(steps(closed), "");
    ASSERT_EQ(closed.deferred.size(), 1U);
    EXPECT_EQ(to_text(closed.deferred[0].resource), "disk/desk");
    EXPECT_EQ(to_text(*closed.deferred[0].on), "mount/vault");
    EXPECT_FALSE(fs::exists(vault() / "disks"));
}

TEST_F(DisksInTheVault, ADiskThatLiesInClearIsRefusedAndNotMoved) {
    specs::SafeSpec before = with_disk();
    before.volumes.clear();
    before.suspend->value = specs::Suspend::ram;
    reach(before, Mode::closed);
    ASSERT_TRUE(fs::exists(state() / "disks" / "desk.qcow2"));
    const model::Plan after = look(with_disk(), Mode::closed);
    ASSERT_EQ(after.refusals.size(), 1U) << steps(after);
    EXPECT_NE(after.refusals[0].error.cause.find("lies in clear"), std::string::npos);
    EXPECT_TRUE(fs::exists(state() / "disks" / "desk.qcow2"));
    EXPECT_FALSE(fs::exists(vault() / "disks"));
}

TEST_F(DisksInTheVault, AVaultThatLeavesTheFileMakesNoBlankDiskInClear) {
    reach(with_disk(), Mode::open);
    reach(with_disk(), Mode::closed);
    specs::SafeSpec without = with_disk();
    without.volumes.clear();
    without.suspend->value = specs::Suspend::ram;
    const model::Plan after = look(without, Mode::closed);
    ASSERT_EQ(after.refusals.size(), 1U) << steps(after);
    EXPECT_NE(after.refusals[0].error.cause.find("is defined with the disk"), std::string::npos);
    EXPECT_FALSE(fs::exists(state() / "disks" / "desk.qcow2"));
}

TEST_F(DisksInTheVault, WhatLeftTheFileIsSavedAlthoughNothingSaysHowToSleep) {
    reach(with_disk(), Mode::open);
    reach(left(), Mode::closed);
    comes_back();
}

TEST_F(DisksInTheVault, WhatLeftTheFileAsleepInRamIsSavedBeforeItsVolumeCloses) {
    specs::SafeSpec ram = with_disk();
    ram.suspend->value = specs::Suspend::ram;
    reach(ram, Mode::open);
    reach(ram, Mode::closed);
    ASSERT_EQ(domains(), "t-desk paused; t-gate running");
    EXPECT_EQ(steps(look(left(), Mode::open)).find("power/desk"), std::string::npos) << "it stays as it is, kept";
    reach(left(), Mode::closed);
    comes_back();
}

TEST_F(DisksInTheVault, AsleepInRamItIsWokenOrSavedWhenItsVolumeNoLongerStaysOpen) {
    specs::SafeSpec ram = with_disk();
    ram.suspend->value = specs::Suspend::ram;
    reach(ram, Mode::open);
    reach(ram, Mode::closed);
    EXPECT_EQ(steps(look(with_disk(), Mode::open)), "change power/desk resume state\n");
    reach(with_disk(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    reach(ram, Mode::closed);
    reach(with_disk(), Mode::closed);
    comes_back();
}

TEST_F(DisksInTheVault, AnOrphansDiskIsFoundWhereverItLies) {
    reach(with_disk(), Mode::open);
    std::string without = saving;
    without.erase(without.find("  desk:"));
    const model::Plan after = look(spec(without), Mode::open);
    EXPECT_NE(std::ranges::find(after.orphaned, make_id(model::Kind::disk, "desk")), after.orphaned.end());
}

}  // namespace
}  // namespace safe::test
