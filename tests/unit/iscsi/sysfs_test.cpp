#include "plugins/iscsi/sysfs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

/// A tree as a 6.1 kernel has it.
class Sysfs : public ::testing::Test {
 protected:
    Sysfs() {
        fs::create_directories(root / "class" / "net");
        put(roots.mounts, "21 1 252:1 / / rw - ext4 /dev/vda1 rw\n");
    }

    static void put(const fs::path& path, const std::string& content) {
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << content;
    }
    [[nodiscard]] fs::path device_of(int number) const {
        return root / "devices" / "platform" / ("host" + std::to_string(number + 1)) /
               ("session" + std::to_string(number));
    }
    void add_session(int number, const std::string& interface, const std::string& portal_address = "192.0.2.10") {
        const std::string name = "session" + std::to_string(number);
        const fs::path device = device_of(number);
        const fs::path object = device / "iscsi_session" / name;
        put(object / "targetname", "iqn.2026-01.org.example:atlas\n");
        put(object / "state", "LOGGED_IN\n");
        put(object / "ifacename", interface + "\n");
        fs::create_symlink(device, object / "device");
        const std::string connection = "connection" + std::to_string(number) + ":0";
        put(device / connection / "iscsi_connection" / connection / "persistent_address", portal_address + "\n");
        put(device / connection / "iscsi_connection" / connection / "persistent_port", "3260\n");
        fs::create_directories(root / "class" / "iscsi_session");
        fs::create_symlink(object, root / "class" / "iscsi_session" / name);
    }
    fs::path add_unit(int number, int lun, const std::string& device) {
        const std::string address = std::to_string(number + 1) + ":0:0";
        const fs::path unit = device_of(number) / ("target" + address) / (address + ":" + std::to_string(lun));
        put(unit / "state", "running\n");
        put(unit / "vpd_pg80", std::string("\0\x80\0\4VLT1", 8));
        put(unit / "vpd_pg83", std::string("\0\x83\0\x0c\1\3\0\x08\x60\1\2\3\4\5\6\7", 16));
        put(unit / "block" / device / "size", "16384\n");
        put(unit / "block" / device / "dev", "8:16\n");
        fs::create_directories(unit / "block" / device / "holders");
        return unit;
    }
    std::vector<Session> read() {
        auto sessions = read_sessions(roots);
        EXPECT_TRUE(sessions) << to_text(sessions.error());
        return sessions ? *std::move(sessions) : std::vector<Session>();
    }

    safe::testing::TemporaryDirectory directory;
    fs::path root = directory.path() / "sys";
    Roots roots{.sysfs = root, .mounts = directory.path() / "mountinfo"};
};

TEST_F(Sysfs, WithoutTheModuleThereAreNoSessions) { EXPECT_TRUE(read().empty()); }

TEST_F(Sysfs, WithoutSysfsNothingIsKnown) {
    fs::remove_all(root);
    EXPECT_FALSE(read_sessions(roots));
}

TEST_F(Sysfs, ASessionIsReadWithItsUnits) {
    add_session(1, "safe-atlas");
    add_unit(1, 1, "sdb");
    const auto sessions = read();
    ASSERT_EQ(sessions.size(), 1U);
    const Session& session = sessions.front();
    EXPECT_EQ(session.number, 1U);
    EXPECT_EQ(session.endpoint, (Endpoint{"192.0.2.10:3260", "iqn.2026-01.org.example:atlas"}));
    EXPECT_EQ(session.interface, "safe-atlas");
    EXPECT_EQ(session.state, "LOGGED_IN");
    const Unit* unit = session.unit(1);
    ASSERT_NE(unit, nullptr);
    EXPECT_EQ(unit->device, "sdb");
    EXPECT_EQ(unit->serial, "VLT1");
    EXPECT_EQ(unit->designator, "naa.6001020304050607");
    EXPECT_EQ(unit->capacity, std::uint64_t{8} << 20U);
    EXPECT_TRUE(unit->users.empty());
}

TEST_F(Sysfs, SessionsComeInOrderWhoseverTheyAre) {
    add_session(10, "default");
    add_session(2, "safe-atlas", "198.51.100.7");
    const auto sessions = read();
    ASSERT_EQ(sessions.size(), 2U);
    EXPECT_EQ(sessions[0].number, 2U);
    EXPECT_EQ(sessions[0].endpoint.portal, "198.51.100.7:3260");
    EXPECT_EQ(sessions[1].interface, "default");
}

TEST_F(Sysfs, WhatLiesOnADeviceIsNamed) {
    add_session(1, "safe-atlas");
    const fs::path unit = add_unit(1, 1, "sdb");
    put(unit / "block/sdb/holders/dm-3/dm/name", "safe-atlas-vault\n");
    put(unit / "block/sdb/sdb1/dev", "8:17\n");
    put(roots.mounts, "36 21 8:17 / /mnt/stick rw - ext4 /dev/sdb1 rw\n");
    EXPECT_THAT(read().front().unit(1)->users, ElementsAre("dm-3 (safe-atlas-vault)", "mounted on /mnt/stick"));
}

TEST_F(Sysfs, AUnitWithoutABlockDeviceOrPagesIsThereAllTheSame) {
    add_session(1, "safe-atlas");
    const fs::path unit = add_unit(1, 1, "sdb");
    fs::remove_all(unit / "block");
    fs::remove(unit / "vpd_pg80");
    fs::remove(unit / "vpd_pg83");
    const auto sessions = read();
    EXPECT_EQ(sessions.front().unit(1)->device, "");
    EXPECT_EQ(sessions.front().unit(1)->serial, "");
}

TEST_F(Sysfs, WhatIsThereAndCannotBeReadIsAnErrorAndNoAbsence) {
    add_session(1, "safe-atlas");
    const fs::path unit = add_unit(1, 1, "sdb");
    const fs::path session = device_of(1) / "iscsi_session" / "session1";
    for (const fs::path& attribute : {session / "state", session / "ifacename", unit / "state", unit / "vpd_pg80"}) {
        fs::rename(attribute, directory.path() / "aside");
        fs::create_directory(attribute);  // EISDIR, for root as well
        EXPECT_FALSE(read_sessions(roots)) << attribute;
        fs::remove(attribute);
        fs::rename(directory.path() / "aside", attribute);
    }
    EXPECT_EQ(read().size(), 1U);
    fs::remove(roots.mounts);
    EXPECT_FALSE(read_sessions(roots));
}

TEST_F(Sysfs, ASessionThatVanishesWhileItIsReadIsGone) {
    add_session(1, "safe-atlas");
    fs::remove_all(device_of(1));
    EXPECT_TRUE(read().empty());
}

TEST_F(Sysfs, PlacesToWriteToAreFound) {
    add_session(1, "safe-atlas");
    const fs::path unit = add_unit(1, 12, "sdb");
    EXPECT_EQ(unit_directory(roots, 1, 12), unit);
    EXPECT_EQ(unit_directory(roots, 1, 2), std::nullopt);
    EXPECT_EQ(scan_file(roots, 1), root / "class/scsi_host/host2/scan");
    EXPECT_EQ(scan_file(roots, 7), std::nullopt);
}

}  // namespace
}  // namespace safe::iscsi
