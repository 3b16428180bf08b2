// The spec changes: what each change costs, and that it is what becomes of the world.
#include "tests/system/libvirt/libvirt_fixture.hpp"

namespace safe::test {
namespace {

using model::Disruption;

class SpecChange : public LibvirtTest {
 protected:
    void SetUp() override {
        LibvirtTest::SetUp();
        if (IsSkipped()) return;
        converge(two_vms(), Mode::open);
        id_ = libvirtd_->virsh({"domid", "t-gate"});
    }

    void expect_plan(const std::string& text, const std::string& expected, Disruption cost) const {
        const model::Plan change = plan(text, Mode::open);
        EXPECT_EQ(steps(change), expected);
        EXPECT_EQ(change.disruption(), cost);
    }

    [[nodiscard]] bool runs_on() const { return libvirtd_->virsh({"domid", "t-gate"}) == id_; }

    std::string id_;
};

TEST_F(SpecChange, ACpuMoreIsGivenToTheRunningGuest) {
    const std::string more = two_vms({{"cpus: 1, cpus-max: 2", "cpus: 2, cpus-max: 2"}});
    expect_plan(more, "change vm/gate redefine cpus\nchange power/gate adjust cpus\n", Disruption::live);
    converge(more, Mode::open);
    EXPECT_TRUE(runs_on());
    EXPECT_EQ(libvirtd_->virsh({"vcpucount", "t-gate", "--live", "--current"}), "2");
}

TEST_F(SpecChange, ACpuLessIsARestart) {
    converge(two_vms({{"cpus: 1, cpus-max: 2", "cpus: 2, cpus-max: 2"}}), Mode::open);
    expect_plan(two_vms(), "change vm/gate redefine cpus\nchange power/gate restart cpus\n", Disruption::restart);
    converge(two_vms(), Mode::open);
    EXPECT_EQ(libvirtd_->virsh({"vcpucount", "t-gate", "--live", "--current"}), "1");
}

TEST_F(SpecChange, MemoryWithinItsMaximumIsGivenToTheRunningGuest) {
    const std::string more = two_vms({{"memory: 64MiB, memory-max", "memory: 96MiB, memory-max"}});
    expect_plan(more, "change vm/gate redefine memory\nchange power/gate adjust memory\n", Disruption::live);
    converge(more, Mode::open);
    EXPECT_TRUE(runs_on());
    // And taken back; this guest has no balloon driver, so that only the next start shows it.
    converge(two_vms(), Mode::open);
    EXPECT_TRUE(runs_on());
}

TEST_F(SpecChange, AnotherMaximumIsARestart) {
    const std::string more = two_vms({{"memory-max: 128MiB", "memory-max: 256MiB"}});
    expect_plan(more, "change vm/gate redefine memory-max\nchange power/gate restart memory-max\n",
                Disruption::restart);
    converge(more, Mode::open);
    EXPECT_NE(libvirtd_->virsh({"dominfo", "t-gate"}).find("262144 KiB"), std::string::npos);
}

TEST_F(SpecChange, AnotherAddressOfAVmIsAReservationInPlace) {
    const std::string moved = two_vms({{"address: 10.99.0.20", "address: 10.99.0.21"}});
    expect_plan(moved, "change network/t update reservations.desk.address\n", Disruption::live);
    converge(moved, Mode::open);
    EXPECT_TRUE(runs_on());
    EXPECT_NE(libvirtd_->virsh({"net-dumpxml", "safe-t"}).find("10.99.0.21"), std::string::npos);
    EXPECT_NE(libvirtd_->virsh({"net-dumpxml", "--inactive", "safe-t"}).find("10.99.0.21"), std::string::npos);
}

TEST_F(SpecChange, TwoVmsSwapTheirAddressesInPlace) {
    const std::string swapped = two_vms({{"address: 10.99.0.20", "address: 10.99.0.99"},
                                         {"address: 10.99.0.2 ", "address: 10.99.0.20 "},
                                         {"address: 10.99.0.99", "address: 10.99.0.2"}});
    converge(swapped, Mode::open);
    EXPECT_TRUE(runs_on());
    EXPECT_NE(libvirtd_->virsh({"net-dumpxml", "safe-t"}).find("name='desk' ip='10.99.0.2'"), std::string::npos);
}

TEST_F(SpecChange, AnotherAddressOfTheNetworkTakesItsGuestsDownAndBringsThemBack) {
    const std::string moved = two_vms({{"10.99.0.1/24", "10.99.0.254/24"}});
    expect_plan(moved,
                "remove power/desk shut off\n"
                "remove power/gate shut off\n"
                "change network/t replace address\n"
                "add power/desk start\n"
                "add power/gate start\n",
                Disruption::downtime);
    converge(moved, Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    EXPECT_NE(libvirtd_->must({"ip", "-4", "addr", "show", "br-t"}).find("10.99.0.254/24"), std::string::npos);
}

TEST_F(SpecChange, ANetworkIsNotReplacedUnderASleepingGuest) {
    converge(two_vms(), Mode::closed);
    const std::string moved = two_vms({{"bridge: br-t", "bridge: br-u"}});
    const model::Plan refused = plan(moved, Mode::closed);
    ASSERT_EQ(refused.refusals.size(), 1U) << steps(refused);
    EXPECT_NE(to_text(refused.refusals[0].error).find("the memory of t-desk"), std::string::npos);
    EXPECT_NE(failures(apply(moved, Mode::closed)), "");
    EXPECT_NE(libvirtd_->must({"ip", "link", "show", "br-t"}), "") << "the old bridge is gone";
    EXPECT_EQ(domains(), "t-desk paused; t-gate running");
}

TEST_F(SpecChange, ANetworkReplacedHalfWayIsFinished) {
    // What a kill between defining and starting leaves.
    const std::string moved = two_vms({{"bridge: br-t", "bridge: br-u"}});
    libvirtd_->virsh({"destroy", "t-gate"});
    libvirtd_->virsh({"destroy", "t-desk"});
    libvirtd_->virsh({"net-destroy", "safe-t"});
    converge(moved, Mode::open);
    EXPECT_NE(libvirtd_->must({"ip", "link", "show", "br-u"}), "");
    EXPECT_EQ(libvirtd_->run({"ip", "link", "show", "br-t"}).status, 1);
}

TEST_F(SpecChange, ADiskGrowsUnderTheRunningGuestAndNeverShrinks) {
    const std::string larger = two_vms({{"disk: 8MiB", "disk: 16MiB"}});
    expect_plan(larger, "change disk/gate grow size\n", Disruption::live);
    converge(larger, Mode::open);
    EXPECT_TRUE(runs_on());
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-gate", "vda"}).find("16777216"), std::string::npos);

    const model::Plan smaller = plan(two_vms(), Mode::open);
    ASSERT_FALSE(smaller.refusals.empty());
    EXPECT_EQ(smaller.disruption(), Disruption::irreversible);
}

TEST_F(SpecChange, ADiskGrowsWhileTheGuestIsOff) {
    libvirtd_->virsh({"destroy", "t-gate"});
    converge(two_vms({{"disk: 8MiB", "disk: 16MiB"}}), Mode::open);
    EXPECT_NE(libvirtd_->virsh({"domblkinfo", "t-gate", "vda"}).find("16777216"), std::string::npos);
}

TEST_F(SpecChange, AnotherImageUnderADiskIsRefused) {
    write("other.img", std::string(std::size_t{1} << 20, 'x'));
    const model::Plan other = plan(two_vms({{"image: disk.img", "image: other.img"}}), Mode::open);
    ASSERT_FALSE(other.refusals.empty());
    EXPECT_EQ(other.refusals[0].subject, "disk/gate");
}

TEST_F(SpecChange, AnotherKernelIsImportedForTheNextStart) {
    std::string kernel = halting_kernel();
    kernel += "new";
    write("kernel", kernel);
    expect_plan(two_vms(), "change image/kernel import version\n", Disruption::none);
    converge(two_vms(), Mode::open);
    EXPECT_EQ(fs::file_size(state() / "images" / "kernel" / "current"), kernel.size());
}

}  // namespace
}  // namespace safe::test
