#include "plugins/iscsi/node_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "tests/support/iscsi/sample_volumes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::iscsi {
namespace {

namespace fs = std::filesystem;
using test::sample_endpoint;
using ::testing::HasSubstr;
using ::testing::Not;

base::Secret secret(std::string_view text) { return base::Secret::copy_of(std::as_bytes(std::span(text))).value(); }

mode_t mode_of(const fs::path& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
}

class NodeRecord : public ::testing::Test {
 protected:
    Login login() {
        return {
            .endpoint = sample_endpoint, .portal_group = 3, .volume = "vault", .chap = &chap, .timeouts = {90, 10, 5}};
    }
    static std::string text_of(const Login& login) {
        const auto text = record_text(login, "safe-atlas");
        return text ? std::string(text->view()) : "refused: " + to_text(text.error());
    }

    safe::testing::TemporaryDirectory directory;
    fs::path nodes = directory.path() / "nodes";
    fs::path portal = nodes / sample_endpoint.target / "192.0.2.10,3260,3";
    fs::path file = portal / "safe-atlas";
    Chap chap{"atlas", secret("correct-horse-1")};
};

TEST_F(NodeRecord, SaysAllThatBoundsAndProtectsASession) {
    const std::string text = text_of(login());
    for (const char* line :
         {"node.name = iqn.2026-01.org.example:atlas\n", "node.tpgt = 3\n", "node.startup = manual\n",
          "node.session.scan = manual\n", "iface.iscsi_ifacename = safe-atlas\n", "node.conn[0].address = 192.0.2.10\n",
          "node.conn[0].port = 3260\n", "node.session.timeo.replacement_timeout = 90\n",
          "node.conn[0].timeo.login_timeout = 10\n", "node.conn[0].timeo.noop_out_interval = 5\n",
          "node.conn[0].iscsi.HeaderDigest = CRC32C,None\n", "node.conn[0].iscsi.DataDigest = CRC32C,None\n",
          "node.session.auth.authmethod = CHAP\n", "node.session.auth.username = atlas\n",
          "node.session.auth.password = correct-horse-1\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(NodeRecord, WithoutChapItSaysSo) {
    Login plain = login();
    plain.chap = nullptr;
    EXPECT_THAT(text_of(plain), HasSubstr("node.session.auth.authmethod = None\n"));
    EXPECT_THAT(text_of(plain), Not(HasSubstr("password")));
}

TEST_F(NodeRecord, NoWordCanAddALine) {
    chap.secret = secret("x\nnode.startup = automatic");
    EXPECT_THAT(text_of(login()), HasSubstr("refused"));
    EXPECT_THAT(text_of(login()), Not(HasSubstr("automatic")));  // nor is a secret ever repeated
    chap.secret = secret("has a blank");
    EXPECT_THAT(text_of(login()), HasSubstr("refused"));
    chap = {"atlas\nnode.startup = automatic", secret("good")};
    EXPECT_THAT(text_of(login()), HasSubstr("refused"));
    chap.user = "atlas";
    for (const char* name : {"../../../etc", "iqn/../..", "iqn.x\ny", ".", ""}) {
        Login elsewhere = login();
        elsewhere.endpoint.target = name;
        EXPECT_THAT(text_of(elsewhere), HasSubstr("refused")) << name;
        EXPECT_FALSE(write_record(nodes, elsewhere, "safe-atlas")) << name;
    }
    EXPECT_FALSE(fs::exists(nodes));
}

TEST_F(NodeRecord, OnlyRootReadsIt) {
    const mode_t before = ::umask(0);
    ASSERT_TRUE(write_record(nodes, login(), "safe-atlas"));
    ::umask(before);
    EXPECT_EQ(mode_of(file), 0600U);
    for (const fs::path& path : {portal, portal.parent_path(), nodes}) EXPECT_EQ(mode_of(path), 0700U) << path;
}

TEST_F(NodeRecord, AFileThatSomebodyPutInItsWayIsNotWrittenThrough) {
    const fs::path victim = directory.path() / "victim";
    std::ofstream(victim) << "mine";
    fs::create_symlink(victim, directory.path() / ".safe-atlas.new");
    ASSERT_TRUE(write_record(nodes, login(), "safe-atlas"));
    std::ifstream in(victim);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "mine");
    EXPECT_EQ(mode_of(file), 0600U);
}

TEST_F(NodeRecord, IsListedWithItsVolumeAndRemovedWhole) {
    ASSERT_TRUE(write_record(nodes, login(), "safe-atlas"));
    ASSERT_TRUE(write_record(nodes, login(), "safe-atlas"));
    const auto listed = list_records(nodes, "safe-atlas");
    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->size(), 1U);
    EXPECT_EQ(listed->front().endpoint, sample_endpoint);
    EXPECT_EQ(listed->front().volume, "vault");
    ASSERT_TRUE(remove_record(nodes, sample_endpoint, "safe-atlas"));
    ASSERT_TRUE(remove_record(nodes, sample_endpoint, "safe-atlas"));
    EXPECT_FALSE(fs::exists(nodes / sample_endpoint.target));
    EXPECT_TRUE(list_records(nodes, "safe-atlas")->empty());
}

TEST_F(NodeRecord, AnotherGroupReplacesTheOld) {
    ASSERT_TRUE(write_record(nodes, login(), "safe-atlas"));
    Login moved = login();
    moved.portal_group = 4;
    ASSERT_TRUE(write_record(nodes, moved, "safe-atlas"));
    EXPECT_EQ(list_records(nodes, "safe-atlas")->size(), 1U);
    EXPECT_FALSE(fs::exists(file));
}

TEST_F(NodeRecord, OthersRecordsAreLeftAlone) {
    fs::create_directories(portal);
    std::ofstream(portal / "default") << "node.name = x\n";
    fs::create_directories(nodes / "iqn.2026-01.org.example:other");
    ASSERT_TRUE(write_record(nodes, login(), "safe-atlas"));
    EXPECT_EQ(list_records(nodes, "safe-atlas")->size(), 1U);
    ASSERT_TRUE(remove_record(nodes, sample_endpoint, "safe-atlas"));
    EXPECT_TRUE(fs::exists(portal / "default"));
    EXPECT_TRUE(list_records(nodes, "safe-atlas")->empty());
}

TEST_F(NodeRecord, ARecordOfOurNameThatADiscoveryMadeIsNotOurs) {
    fs::create_directories(portal);
    std::ofstream(file) << "# BEGIN RECORD 2.1.8\nnode.name = iqn.2026-01.org.example:atlas\n";
    EXPECT_TRUE(list_records(nodes, "safe-atlas")->empty());
}

TEST_F(NodeRecord, TheInterfaceComesAndGoes) {
    ASSERT_TRUE(write_interface(directory.path(), "safe-atlas"));
    std::ifstream in(directory.path() / "ifaces" / "safe-atlas");
    EXPECT_THAT(std::string(std::istreambuf_iterator<char>(in), {}), HasSubstr("iface.iscsi_ifacename = safe-atlas\n"));
    ASSERT_TRUE(remove_interface(directory.path(), "safe-atlas"));
    ASSERT_TRUE(remove_interface(directory.path(), "safe-atlas"));
    EXPECT_FALSE(fs::exists(directory.path() / "ifaces" / "safe-atlas"));
}

TEST_F(NodeRecord, ADirectoryThatCannotBeReadIsAnError) {
    fs::create_symlink(nodes, nodes);  // a loop: ELOOP, for root as well
    EXPECT_FALSE(list_records(nodes, "safe-atlas"));
}

}  // namespace
}  // namespace safe::iscsi
