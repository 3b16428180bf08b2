// What is written as XML is read back as the same attributes, whatever the text in it; and libvirt's own schema takes
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <fstream>

#include "plugins/libvirt/domain_xml.hpp"
#include "plugins/libvirt/drivers.hpp"
#include "plugins/libvirt/network_xml.hpp"
#include "reconciler/base/process.hpp"
#include "specs/identity.hpp"
#include "tests/support/libvirt/sample_safe.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

using model::Attributes;
using model::Branch;
using model::Bytes;

const Layout in_var("t", "/var/lib/safe/t");  // NOLINT(cert-err58-cpp): a test may end by it

Identity identity_of(const std::string& type) {
    return {.name = "t-gate",
            .uuid = specs::uuid_of("t", "gate"),
            .type = type,
            .owner = {.safe = "t", .vm = "gate", .role = "service", .memory = 64U << 20},
            .suspended = std::nullopt};
}

Attributes hardware_of(std::size_t vm) {
    const specs::SafeSpec spec = test::sample_safe();
    return wanted_hardware(spec, spec.vms.at(vm), in_var);
}

class EveryHypervisor : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryHypervisor, ReadsBackWhatItWasGiven) {
    for (const std::size_t vm : {0U, 1U}) {
        const base::Result<DomainSeen> seen =
            parse_domain(domain_xml(identity_of(GetParam()), hardware_of(vm)), View::definition);
        ASSERT_TRUE(seen);
        EXPECT_EQ(canonical_text(seen->hardware), canonical_text(hardware_of(vm)));
        EXPECT_EQ(seen->type, GetParam());
        EXPECT_EQ(seen->owner->vm, "gate");
        EXPECT_EQ(seen->owner->role, "service");
        EXPECT_FALSE(seen->suspended);
    }
}

TEST_P(EveryHypervisor, LibvirtsSchemaTakesIt) {
    const testing::TemporaryDirectory home;
    for (const std::size_t vm : {0U, 1U}) {
        const auto file = home.path() / "domain.xml";
        std::ofstream(file) << domain_xml(identity_of(GetParam()), hardware_of(vm));
        const base::Result<base::Finished> checked = base::run_process({"virt-xml-validate", file.string(), "domain"});
        ASSERT_TRUE(checked) << to_text(checked.error());
        EXPECT_EQ(checked->status, 0) << checked->errors << checked->output;
    }
}

INSTANTIATE_TEST_SUITE_P(Types, EveryHypervisor, ::testing::Values("kvm", "qemu", "xen", "test"),
                         [](const auto& instance) { return instance.param; });

TEST_P(EveryHypervisor, ASeedIsReadBackAndNoPartOfTheRest) {
    Identity identity = identity_of(GetParam());
    identity.seed = "/s/disks/gate.seed/0a.iso";
    const std::string xml = domain_xml(identity, hardware_of(0));
    const base::Result<DomainSeen> seen = parse_domain(xml, View::live);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->seed, identity.seed);
    EXPECT_EQ(canonical_text(seen->hardware), canonical_text(hardware_of(0)));
    const testing::TemporaryDirectory home;
    std::ofstream(home.path() / "domain.xml") << xml;
    const auto checked = base::run_process({"virt-xml-validate", (home.path() / "domain.xml").string(), "domain"});
    ASSERT_TRUE(checked) << to_text(checked.error());
    EXPECT_EQ(checked->status, 0) << checked->errors << checked->output;
}

TEST(DomainXml, ASecondDiskThatCanBeWrittenOrIsProbedIsNoSeed) {
    for (const char* disk :
         {"<disk type='file'><driver type='raw'/><source file='/a'/></disk>",
          "<disk type='file'><driver type='qcow2'/><source file='/a'/><readonly/></disk>",
          "<disk type='file'><source file='/a'/><readonly/></disk>",
          "<disk type='block'><driver type='raw'/><source dev='/a'/><readonly/></disk>",
          "<disk type='file' device='cdrom'><driver type='raw'/><source file='/a'/><readonly/></disk>"}) {
        std::string xml = domain_xml(identity_of("qemu"), hardware_of(0));
        xml.insert(xml.find("<interface"), disk);
        const base::Result<DomainSeen> seen = parse_domain(xml, View::definition);
        EXPECT_EQ(seen->seed, "") << disk;
        EXPECT_NE(seen->hardware.find("extra"), nullptr) << disk;
    }
}

TEST(DomainXml, TextFromASpecStaysText) {
    rc::check([] {
        const auto printable = rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~'));
        Attributes hardware = hardware_of(1);
        const std::string cmdline = "x" + *printable + "x";  // libvirt trims nothing, but XML readers may
        const std::string kernel = "/k/" + *printable + "x";
        hardware.set("boot", Branch().set("kernel", kernel).set("cmdline", cmdline));
        const base::Result<DomainSeen> seen = parse_domain(domain_xml(identity_of("qemu"), hardware), View::definition);
        RC_ASSERT(seen.has_value());
        RC_ASSERT(canonical_text(seen->hardware) == canonical_text(hardware));
    });
}

TEST(DomainXml, AnythingThatIsNoDomainIsAnError) {
    EXPECT_FALSE(parse_domain("", View::live));
    EXPECT_FALSE(parse_domain("<network/>", View::live));
    EXPECT_FALSE(parse_domain("<domain", View::live));
}

TEST(DomainXml, ThePauseThatIsOursIsKeptThroughARedefinition) {
    Identity identity = identity_of("qemu");
    for (const Suspension& suspension : {Suspension{"ram"}, Suspension{"disk", "2026-11-19 18:02 UTC"}}) {
        identity.suspended = suspension;
        EXPECT_EQ(parse_domain(domain_xml(identity, hardware_of(0)), View::definition)->suspended, suspension);
    }
}

/// The definition with `what` put before the end of its devices, or of itself.
Attributes with(const std::string& what, const std::string& before = "</devices>") {
    std::string xml = domain_xml(identity_of("qemu"), hardware_of(0));
    xml.insert(xml.find(before), what);
    return parse_domain(xml, View::definition)->hardware;
}

std::vector<std::string> extra_of(const Attributes& hardware) {
    std::vector<std::string> keys;
    if (const model::Value* extra = hardware.find("extra"))
        for (const model::Entry& entry : extra->branch()->entries()) keys.push_back(entry.key);
    return keys;
}

TEST(DomainXml, WhatLibvirtAddsByItselfIsNotExtra) {
    EXPECT_THAT(
        extra_of(with("<emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='pci' model='pci-root'/>"
                      "<input type='mouse' bus='ps2'/><audio id='1' type='none'/>"
                      "<console type='pty'><target type='serial'/></console>")),
        ::testing::IsEmpty());
    EXPECT_THAT(extra_of(with("<seclabel type='dynamic' model='dac' relabel='yes'/>", "</domain>")),
                ::testing::IsEmpty());
}

TEST(DomainXml, EveryOtherDeviceIsExtra) {
    for (const std::string device :
         {"hostdev", "filesystem", "redirdev", "channel", "graphics", "video", "sound", "tpm", "shmem", "memory",
          "vsock", "panic", "watchdog", "smartcard", "parallel", "hub", "crypto", "whatever-comes"})
        EXPECT_THAT(extra_of(with("<" + device + "/>")), ::testing::ElementsAre(device));
    EXPECT_THAT(extra_of(with("<interface type='bridge'><mac address='1'/></interface><disk><target dev='vdb'/></disk>"
                              "<serial type='tcp'/><serial type='tcp'/><input type='tablet' bus='usb'/>")),
                ::testing::ElementsAre("disk vdb", "input tablet", "interface 1", "serial tcp", "serial tcp #2"));
    EXPECT_THAT(extra_of(with("<qemu:commandline/><seclabel type='none' model='dac'/>", "</domain>")),
                ::testing::ElementsAre("qemu:commandline", "seclabel none dac"));
}

TEST(DomainXml, AGuestThatKeepsMoreMemoryThanItWasToldIsNoDriftWhileItRuns) {
    Attributes more = hardware_of(0);
    more.set("memory", Bytes{100U << 20});  // told 64 MiB
    const std::string xml = domain_xml(identity_of("qemu"), more);
    EXPECT_EQ(*model::get<Bytes>(parse_domain(xml, View::live)->hardware, "memory"), (Bytes{64U << 20}));
    EXPECT_EQ(parse_domain(xml, View::live)->memory_in_use, (Bytes{100U << 20}));
    EXPECT_EQ(*model::get<Bytes>(parse_domain(xml, View::definition)->hardware, "memory"), (Bytes{100U << 20}));
    more.set("memory", Bytes{32U << 20});
    EXPECT_EQ(*model::get<Bytes>(parse_domain(domain_xml(identity_of("qemu"), more), View::live)->hardware, "memory"),
              (Bytes{32U << 20}));
}

TEST(NetworkXml, ReadsBackWhatItWasGivenAndLibvirtsSchemaTakesIt) {
    const specs::SafeSpec spec = test::sample_safe();
    const auto driver = make_network_driver(nullptr, in_var);
    const Attributes wanted = driver->desire(spec, model::Mode::open).resources.at(0).attributes;
    const NetworkIdentity identity{"safe-t", specs::uuid_of("t", ""), specs::mac_of("t", ""), {.safe = "t"}};
    const std::string xml = network_xml(identity, wanted);
    base::Result<NetworkSeen> seen = parse_network_xml(xml);
    ASSERT_TRUE(seen);
    seen->attributes.set("autostart", true).set("state", "active");  // not in the XML
    EXPECT_EQ(canonical_text(seen->attributes), canonical_text(wanted));
    EXPECT_EQ(seen->owner->safe, "t");

    const testing::TemporaryDirectory home;
    std::ofstream(home.path() / "network.xml") << xml;
    const auto checked = base::run_process({"virt-xml-validate", (home.path() / "network.xml").string(), "network"});
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->status, 0) << checked->errors << checked->output;
}

TEST(NetworkXml, RangesAndOtherAddressesAreExtra) {
    const auto seen = parse_network_xml(
        "<network><name>n</name><ip address='10.0.0.1' netmask='255.255.240.0'><dhcp><range start='10.0.0.5' "
        "end='10.0.0.9'/>"
        "</dhcp></ip><ip family='ipv6' address='fd00::1' prefix='64'/><route address='0.0.0.0'/></network>");
    ASSERT_TRUE(seen);
    EXPECT_EQ(*model::get<std::string>(seen->attributes, "address"), "10.0.0.1/20");
    EXPECT_THAT(extra_of(seen->attributes),
                ::testing::ElementsAre("address fd00::1/64", "range 10.0.0.5-10.0.0.9", "route"));
}

}  // namespace
}  // namespace safe::libvirt
