// A safe from nothing, through its modes, and back.
#include "tests/system/libvirt/libvirt_fixture.hpp"

namespace safe::test {
namespace {

TEST_F(LibvirtTest, FromNothingEverythingIsMadeAndThenNothingIsLeftToDo) {
    EXPECT_EQ(steps(plan(two_vms(), Mode::closed)),
              "add network/t create\n"
              "add image/disk.img import\n"
              "add image/initrd import\n"
              "add image/kernel import\n"
              "add disk/gate create\n"
              "add vm/desk define\n"
              "add vm/gate define\n"
              "add power/gate start\n");
    converge(two_vms(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    EXPECT_EQ(libvirtd_->virsh({"net-list", "--name"}), "safe-t");
    EXPECT_NE(libvirtd_->must({"ip", "-4", "addr", "show", "br-t"}).find("10.99.0.1/24"), std::string::npos);
    EXPECT_NE(libvirtd_->must({"ip", "link", "show", specs::tap_of("t", "gate")}).find("master br-t"),
              std::string::npos);
}

TEST_F(LibvirtTest, AWorkspaceSleepsInMemoryWhileTheSafeIsClosed) {
    converge(two_vms(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    const std::string awake = libvirtd_->virsh({"domid", "t-desk"});

    EXPECT_EQ(steps(plan(two_vms(), Mode::closed)), "remove power/desk suspend\n");
    converge(two_vms(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk paused; t-gate running");

    EXPECT_EQ(steps(plan(two_vms(), Mode::open)), "add power/desk resume\n");
    converge(two_vms(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    EXPECT_EQ(libvirtd_->virsh({"domid", "t-desk"}), awake) << "it was started anew: its memory is lost";
}

TEST_F(LibvirtTest, ASuspendCutShortIsFinished) {
    converge(two_vms(), Mode::open);
    // What a kill between pausing and marking leaves.
    libvirtd_->virsh({"suspend", "t-desk"});
    EXPECT_EQ(steps(plan(two_vms(), Mode::closed)), "remove power/desk suspend\n");
    converge(two_vms(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk paused; t-gate running");
    converge(two_vms(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(LibvirtTest, AGuestWhoseSleepingMemoryWasLostStartsAnewAndIsSaidTo) {
    converge(two_vms(), Mode::open);
    converge(two_vms(), Mode::closed);
    libvirtd_->virsh({"destroy", "t-desk"});  // as a host's reboot does
    const model::Plan start = plan(two_vms(), Mode::open);
    ASSERT_EQ(steps(start), "add power/desk start\n");
    EXPECT_NE(start.steps[0].summary.find("its memory was lost"), std::string::npos) << start.steps[0].summary;
    converge(two_vms(), Mode::open);
    // The old mark is gone: a pause by somebody else is drift, not sleep.
    libvirtd_->virsh({"suspend", "t-desk"});
    EXPECT_EQ(steps(plan(two_vms(), Mode::open)), "change power/desk resume state\n");
}

TEST_F(LibvirtTest, ASpecChangedWhileAGuestSleptIsARestartAndSaysSoBeforehand) {
    converge(two_vms(), Mode::open);
    converge(two_vms(), Mode::closed);
    const std::string changed = two_vms({{"cmdline: quiet", "cmdline: loud"}});
    const model::Plan opening = plan(changed, Mode::open);
    EXPECT_EQ(steps(opening), "change vm/desk redefine boot.cmdline\nadd power/desk restart\n");
    EXPECT_EQ(opening.disruption(), model::Disruption::restart);
    converge(changed, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"dumpxml", "t-desk"}).find("<cmdline>loud</cmdline>"), std::string::npos);
}

TEST_F(LibvirtTest, WhatLeftTheFileIsKeptAndAWorkspaceStillSleepsWhenTheSafeCloses) {
    converge(two_vms(), Mode::open);
    std::string without = two_vms();
    without.erase(without.find("  desk:"));
    const model::Plan open = plan(without, Mode::open);
    EXPECT_EQ(steps(open), "change network/t update reservations.desk\n");
    const std::vector<model::ResourceId> orphans = open.orphaned;
    const auto is_orphan = [&](model::Kind kind, std::string_view name) {
        return std::ranges::find(orphans, make_id(kind, name)) != orphans.end();
    };
    EXPECT_TRUE(is_orphan(model::Kind::vm, "desk"));
    EXPECT_TRUE(is_orphan(model::Kind::power, "desk"));
    EXPECT_TRUE(is_orphan(model::Kind::image, "kernel"));
    EXPECT_EQ(orphans.size(), 4U);

    converge(without, Mode::closed);
    EXPECT_EQ(domains(), "t-desk paused; t-gate running");
    EXPECT_EQ(plan(without, Mode::open).orphaned,
              (std::vector{model::ResourceId{model::Kind::image, "initrd"},
                           model::ResourceId{model::Kind::image, "kernel"}, make_id(model::Kind::vm, "desk")}));
}

TEST_F(LibvirtTest, ARoleThatChangedWhileItRanHoldsOnceItHasLeftTheFile) {
    converge(two_vms(), Mode::open);
    const std::string other = two_vms({{"role: service", "role: workspace"}});
    EXPECT_EQ(steps(plan(other, Mode::open)), "change vm/gate redefine role\n");
    converge(other, Mode::open);
    std::string without = other;
    without.erase(without.find("  gate:"), without.find("  desk:") - without.find("  gate:"));
    converge(without, Mode::closed);
    EXPECT_EQ(domains(), "t-desk paused; t-gate paused");
}

TEST_F(LibvirtTest, WithoutANetworkVmsHaveNoInterface) {
    const std::string alone = two_vms({{"network: { bridge: br-t, address: 10.99.0.1/24 }\n", ""},
                                       {", address: 10.99.0.2", ""},
                                       {", address: 10.99.0.20", ""}});
    converge(alone, Mode::open);
    EXPECT_EQ(libvirtd_->virsh({"domiflist", "t-gate"}), "");
    EXPECT_EQ(libvirtd_->virsh({"net-list", "--all", "--name"}), "");
}

TEST_F(LibvirtTest, WhatThisBuildCannotDoIsRefusedByName) {
    const model::Plan uplink = plan(two_vms({{"/24 }", "/24, uplink: { interface: eth0 } }"}}), Mode::closed);
    ASSERT_EQ(uplink.refusals.size(), 1U);
    EXPECT_NE(uplink.refusals[0].subject.find("network.uplink"), std::string::npos);
}

}  // namespace
}  // namespace safe::test
