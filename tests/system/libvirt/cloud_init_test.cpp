// Seeds of cloud-init with a real hypervisor: what guests have, what a change does, and what is left of old ones.
#include <gmock/gmock.h>

#include "tests/system/libvirt/suspend_fixture.hpp"

namespace safe::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CloudInit : public SuspendToDisk {
 protected:
    void SetUp() override {
        SuspendToDisk::SetUp();
        if (!libvirtd_) return;
        write("gate.yaml", "#cloud-config\nruncmd: [[id]]\n");
        write("desk.yaml", "#cloud-config\n{}\n");
    }

    [[nodiscard]] specs::SafeSpec both() const {
        return spec(R"(version: 1
safe: t
suspend: ram
network: { bridge: br-t, address: 10.99.0.1/24 }
vms:
  gate: { role: service, image: disk.img, disk: 8MiB, memory: 64MiB, cpus: 1, address: 10.99.0.2, cloud-init: { user-data: gate.yaml } }
  desk: { role: workspace, image: disk.img, disk: 8MiB, memory: 32MiB, cpus: 1, address: 10.99.0.20, cloud-init: { user-data: desk.yaml } }
)");
    }

    /// The seed that a domain has as its second disk: `live` what runs, else its definition.
    [[nodiscard]] fs::path seed_of(const std::string& domain, bool live) const {
        std::vector<std::string> words{"domblklist", domain, "--details"};
        if (!live) words.emplace_back("--inactive");
        std::istringstream lines(libvirtd_->virsh(words));
        for (std::string line; std::getline(lines, line);) {
            std::istringstream columns(line);
            std::string type;
            std::string device;
            std::string target;
            std::string source;
            columns >> type >> device >> target >> source;
            if (target == "vdb") return source;
        }
        return {};
    }
    static std::ptrdiff_t count(const fs::path& directory) {
        return fs::exists(directory) ? std::distance(fs::directory_iterator(directory), {}) : 0;
    }
    [[nodiscard]] std::string said(Mode mode) const {
        applying::DriverSet set(drivers_of(both()));
        const specs::SafeSpec spec = both();
        std::string text;
        for (const std::string& note : look_and_plan({.spec = spec, .mode = mode}, set, {}).plan.notes)
            text += note + "\n";
        return text;
    }
};

TEST_F(CloudInit, TheSeedIsInTheGuestsHardwareAndCannotBeWritten) {
    reach(both(), Mode::open);
    const fs::path seed = seed_of("t-gate", true);
    EXPECT_EQ(seed.parent_path(), state() / "disks" / "gate.seed");
    EXPECT_EQ(seed_of("t-desk", true).parent_path(), vault() / "disks" / "desk.seed") << "it may be confidential";
    EXPECT_FALSE(fs::exists(state() / "disks" / "desk.seed"));
    const std::string blocks = libvirtd_->virsh({"qemu-monitor-command", "t-gate", "--hmp", "info block"});
    EXPECT_THAT(blocks, HasSubstr(seed.string() + " (raw, read-only)"));
    EXPECT_EQ(libvirtd_->must({"bsdtar", "-xOf", seed.string(), "user-data"}), "#cloud-config\nruncmd: [[id]]\n");
}

TEST_F(CloudInit, AChangeIsForTheNextStartAndTheOldSeedGoesThen) {
    reach(both(), Mode::open);
    const fs::path old = seed_of("t-gate", true);
    write("gate.yaml", "#!/bin/sh\n");
    const model::Plan changed = look(both(), Mode::open);
    ASSERT_EQ(steps(changed), "change vm/gate redefine seed.version\n");
    EXPECT_EQ(changed.disruption(), model::Disruption::none);
    EXPECT_THAT(changed.steps[0].summary, HasSubstr("at its next start"));
    reach(both(), Mode::open);
    EXPECT_EQ(seed_of("t-gate", true), old) << "the guest goes on";
    EXPECT_NE(seed_of("t-gate", false), old);
    EXPECT_THAT(said(Mode::open), HasSubstr("power/gate booted with older cloud-init data"));
    EXPECT_TRUE(fs::exists(old)) << "the guest has it open";

    libvirtd_->virsh({"destroy", "t-gate"});
    reach(both(), Mode::open);
    EXPECT_NE(seed_of("t-gate", true), old);
    EXPECT_FALSE(fs::exists(old));
    EXPECT_THAT(said(Mode::open), Not(HasSubstr("older cloud-init data")));
    EXPECT_EQ(count(state() / "disks" / "gate.seed"), 2) << "one seed and its record";
}

TEST_F(CloudInit, ASavedGuestFindsTheSeedItWasSavedWith) {
    reach(both(), Mode::open);
    const fs::path old = seed_of("t-desk", true);
    const std::string content = libvirtd_->must({"sha256sum", old.string()});
    reach(both(), Mode::closed);
    write("desk.yaml", "#!/bin/sh\n");
    reach(both(), Mode::open);
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    EXPECT_EQ(seed_of("t-desk", true), old);
    EXPECT_EQ(libvirtd_->must({"sha256sum", old.string()}), content);
    EXPECT_NE(seed_of("t-desk", false), old);
    reach(both(), Mode::closed);
    reach(both(), Mode::open);
    EXPECT_EQ(seed_of("t-desk", true), old) << "it still sleeps and wakes";
    libvirtd_->virsh({"destroy", "t-desk"});
    reach(both(), Mode::open);
    EXPECT_FALSE(fs::exists(old));
    EXPECT_EQ(count(vault() / "disks" / "desk.seed"), 2);
}

TEST_F(CloudInit, WithoutItTheSeedGoesAtTheNextStart) {
    reach(both(), Mode::open);
    specs::SafeSpec without = both();
    without.vms.at(0).cloud_init.reset();
    EXPECT_EQ(steps(look(without, Mode::open)), "change vm/gate redefine seed\n");
    reach(without, Mode::open);
    EXPECT_NE(seed_of("t-gate", true), fs::path());
    EXPECT_EQ(seed_of("t-gate", false), fs::path());
    libvirtd_->virsh({"destroy", "t-gate"});
    reach(without, Mode::open);
    EXPECT_FALSE(fs::exists(state() / "disks" / "gate.seed"));
}

TEST_F(CloudInit, WhatIsBrokenOrLostIsMadeAgain) {
    reach(both(), Mode::open);
    const fs::path seed = seed_of("t-gate", false);
    fs::remove(seed);
    EXPECT_THAT(steps(look(both(), Mode::open)), HasSubstr("change vm/gate redefine"));
    reach(both(), Mode::open);
    EXPECT_EQ(seed_of("t-gate", false), seed) << "the same inputs, the same bytes";
    EXPECT_TRUE(fs::exists(seed));
}

TEST_F(CloudInit, AnotherDiskInItsPlaceIsNotInTheSpec) {
    reach(both(), Mode::open);
    write("foreign.iso", std::string(4096, 'x'));
    libvirtd_->virsh({"detach-disk", "t-gate", "vdb", "--config"});
    libvirtd_->virsh({"attach-disk", "t-gate", (home_.path() / "foreign.iso").string(), "vdb", "--config", "--mode",
                      "readonly", "--subdriver", "raw"});
    EXPECT_THAT(steps(look(both(), Mode::open)), HasSubstr("redefine seed extra"));
    reach(both(), Mode::open);
    EXPECT_EQ(seed_of("t-gate", false).parent_path(), state() / "disks" / "gate.seed");
}

}  // namespace
}  // namespace safe::test
