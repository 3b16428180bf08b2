// Somebody meddles with virsh; the plan shows exactly that, and apply puts it back.
#include <iterator>
#include <set>
#include <sstream>

#include "tests/system/libvirt/libvirt_fixture.hpp"

namespace safe::test {
namespace {

using model::Disruption;

class Drift : public LibvirtTest {
 protected:
    void SetUp() override {
        LibvirtTest::SetUp();
        if (!IsSkipped()) converge(two_vms(), Mode::open);
    }

    /// The plan is `expected`, and applying it leaves nothing.
    void put_back(const std::string& expected) const {
        EXPECT_EQ(steps(plan(two_vms(), Mode::open)), expected);
        converge(two_vms(), Mode::open);
    }

    /// Writes `xml` where virsh finds it, and calls virsh with it.
    void virsh_with(const std::string& command, const std::string& object, const std::string& xml,
                    const std::string& flag) const {
        write("device.xml", xml);
        libvirtd_->virsh({command, object, (home_.path() / "device.xml").string(), flag});
    }

    /// What `virsh edit` does: the definition with one text replaced by another.
    void edit(const std::string& domain, const std::string& from, const std::string& to) const {
        std::string xml = libvirtd_->virsh({"dumpxml", "--inactive", domain});
        const std::size_t at = xml.find(from);
        ASSERT_NE(at, std::string::npos) << xml;
        xml.replace(at, from.size(), to);
        write("edited.xml", xml);
        libvirtd_->virsh({"define", (home_.path() / "edited.xml").string()});
    }
};

TEST_F(Drift, AGuestThatWasSwitchedOffIsStarted) {
    libvirtd_->virsh({"destroy", "t-gate"});
    put_back("add power/gate start\n");
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(Drift, AGuestThatSomebodyPausedIsResumed) {
    libvirtd_->virsh({"suspend", "t-gate"});
    put_back("change power/gate resume state\n");
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(Drift, ADefinitionThatWasTakenAwayUnderARunningGuestIsMadeAgain) {
    libvirtd_->virsh({"undefine", "t-gate"});
    put_back("add vm/gate define\n");
    // libvirt lists running guests in the order in which they were started, and two start side by side.
    std::istringstream listed(libvirtd_->virsh({"list", "--persistent", "--name"}));
    const std::multiset<std::string> names{std::istream_iterator<std::string>(listed), {}};
    EXPECT_EQ(names, (std::multiset<std::string>{"t-desk", "t-gate"}));
}

TEST_F(Drift, MemoryAndAutostartInTheDefinitionArePutBackWithoutTouchingTheGuest) {
    const std::string id = libvirtd_->virsh({"domid", "t-gate"});
    libvirtd_->virsh({"setmem", "t-gate", "70M", "--config"});
    libvirtd_->virsh({"autostart", "t-gate"});
    put_back("change vm/gate redefine autostart memory\n");
    EXPECT_EQ(libvirtd_->virsh({"domid", "t-gate"}), id);
    EXPECT_EQ(libvirtd_->virsh({"list", "--autostart", "--name"}), "");
}

TEST_F(Drift, AnInterfaceAddedToTheDefinitionIsAHoleAndIsClosed) {
    virsh_with("attach-device", "t-gate", "<interface type='network'><source network='safe-t'/></interface>",
               "--config");
    put_back("change vm/gate redefine extra\n");
    EXPECT_EQ(libvirtd_->virsh({"dumpxml", "--inactive", "t-gate"})
                  .find("<interface", libvirtd_->virsh({"dumpxml", "--inactive", "t-gate"}).find("<interface") + 1),
              std::string::npos);
}

TEST_F(Drift, AnInterfaceAddedToTheRunningGuestIsAHoleAndCostsARestart) {
    virsh_with("attach-device", "t-gate",
               "<interface type='network'><source network='safe-t'/><model type='virtio'/></interface>", "--live");
    EXPECT_EQ(plan(two_vms(), Mode::open).disruption(), Disruption::restart);
    put_back("change power/gate restart extra\n");
    const std::string live = libvirtd_->virsh({"domiflist", "t-gate"});
    EXPECT_EQ(std::ranges::count(live, '\n'), 0) << live;
}

TEST_F(Drift, ADirectoryOfTheHostSharedWithAGuestIsAHoleAndIsClosed) {
    edit("t-gate", "<memballoon",
         "<filesystem type='mount'><source dir='/etc'/><target dir='etc'/></filesystem><memballoon");
    put_back("change vm/gate redefine extra\n");
    EXPECT_EQ(libvirtd_->virsh({"dumpxml", "--inactive", "t-gate"}).find("<filesystem"), std::string::npos);
}

TEST_F(Drift, ArgumentsForQemuAndAGuestWithoutConfinementAreHolesAndAreClosed) {
    edit("t-gate", "<domain type='qemu'>",
         "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
         "<qemu:commandline><qemu:arg value='-full-screen'/></qemu:commandline><seclabel type='none' model='dac'/>");
    put_back("change vm/gate redefine extra\n");
    EXPECT_EQ(libvirtd_->virsh({"dumpxml", "--inactive", "t-gate"}).find("qemu:arg"), std::string::npos);
}

TEST_F(Drift, ADiskThatLeadsElsewhereIsPutBack) {
    edit("t-gate", (state() / "disks" / "gate.base").string(), "/etc/shadow");
    put_back("change vm/gate redefine disk.base\n");
    EXPECT_EQ(libvirtd_->virsh({"dumpxml", "--inactive", "t-gate"}).find("/etc/shadow"), std::string::npos);
}

TEST_F(Drift, ANetworkThatWasTakenDownComesBackWithItsGuestsOnIt) {
    libvirtd_->virsh({"net-destroy", "safe-t"});
    const model::Plan back = plan(two_vms(), Mode::open);
    EXPECT_EQ(steps(back),
              "remove power/desk shut off\n"
              "remove power/gate shut off\n"
              "change network/t start state\n"
              "add power/desk start\n"
              "add power/gate start\n");
    converge(two_vms(), Mode::open);
    for (const char* vm : {"gate", "desk"})
        EXPECT_NE(libvirtd_->must({"ip", "link", "show", specs::tap_of("t", vm)}).find("master br-t"),
                  std::string::npos);
}

TEST_F(Drift, AReservationTakenOutOfTheRunningNetworkOnlyIsPutBackInPlace) {
    const std::string mac = specs::mac_of("t", "gate");
    libvirtd_->virsh({"net-update", "safe-t", "delete", "ip-dhcp-host", "<host mac='" + mac + "'/>", "--live"});
    put_back("change network/t update reservations.gate.only\n");
    EXPECT_NE(libvirtd_->virsh({"net-dumpxml", "safe-t"}).find(mac), std::string::npos);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
}

TEST_F(Drift, AnImageThatSomebodyWroteToIsImportedAgain) {
    const fs::path copy = fs::canonical(state() / "images" / "kernel" / "current");
    fs::permissions(copy, fs::perms::owner_write, fs::perm_options::add);
    std::ofstream(copy, std::ios::app) << "x";
    put_back("change image/kernel import version\n");
    EXPECT_EQ(fs::file_size(copy), fs::file_size(home_.path() / "kernel"));
}

}  // namespace
}  // namespace safe::test
