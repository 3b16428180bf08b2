#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include "plugins/nfs/nfs_text.hpp"
#include "reconciler/base/exportfs.hpp"

namespace safe::nfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NfsText, ExportsWithTheirClientsAndOptions) {
    const auto found = parse_exports(
        "# Version 1.1\n# Path Client(Flags) # IPs\n"
        "/srv/safe/atlas/data\t10.77.0.20(rw,sync,root_squash,fsid=0b1c2d3e-0000-5000-8000-000000000000,sec=sys)\n"
        "/srv/with\\040space\t$10.77.0.21(ro)\n"
        "/srv/pub\t*(ro,all_squash)\n",
        "etab");
    ASSERT_TRUE(found) << to_text(found.error());
    ASSERT_EQ(found->size(), 3U);
    EXPECT_EQ((*found)[0].path, "/srv/safe/atlas/data");
    EXPECT_EQ((*found)[0].client, "10.77.0.20");
    EXPECT_TRUE((*found)[0].options.contains("fsid=0b1c2d3e-0000-5000-8000-000000000000"));
    EXPECT_EQ((*found)[1].path, "/srv/with space");
    EXPECT_EQ((*found)[1].client, "10.77.0.21");
    EXPECT_EQ((*found)[2].client, "*");
}

TEST(NfsText, ALineThatIsNotUnderstoodIsAnErrorAndNotNothing) {
    EXPECT_TRUE(parse_exports("", "etab")->empty());
    for (const char* text : {"/srv/x", "/srv/x\t10.0.0.1", "srv\t10.0.0.1(rw)", "/srv/x\t(rw)", "/srv/x\t10.0.0.1(rw"})
        EXPECT_FALSE(parse_exports(text, "etab")) << text;
}

// What exportfs 2.6.2 takes for each line that its own etab then has; `exportfs -u fd00::1:/x` is "Invalid export
// syntax", and a single address with "/128" is not found.
TEST(NfsText, ExportfsTakesIpv6InBrackets) {
    for (const auto& [client, argument] :
         std::vector<std::pair<std::string, std::string>>{{"2001:db8::/32", "[2001:db8::]/32:/srv/x"},
                                                          {"fd00::1", "[fd00::1]:/srv/x"},
                                                          {"10.77.0.20", "10.77.0.20:/srv/x"},
                                                          {"10.2.0.0/255.255.0.0", "10.2.0.0/255.255.0.0:/srv/x"},
                                                          {"*.example.org", "*.example.org:/srv/x"},
                                                          {"*", "*:/srv/x"}})
        EXPECT_EQ(base::exportfs_argument(client, "/srv/x"), argument);
}

TEST(NfsText, PathsKeptForFileHandles) {
    const auto found = parse_handles(
        "#domain fsidtype fsid [path]\n"
        "10.77.0.20 6 0x3c2d1b0b000000000000000000000000 /srv/safe/atlas/data\n"
        "$10.77.0.21 1 0x00000000 /srv/with\\040space\n"
        "# 10.77.0.22 6 0x3c2d1b0b000000000000000000000000 /srv/safe/atlas/data\n"
        "10.77.0.23 6 0x3c2d1b0b000000000000000000000000\n");
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0], (Export{"/srv/safe/atlas/data", "10.77.0.20"}));
    EXPECT_EQ(found[1], (Export{"/srv/with space", "10.77.0.21"}));
}

TEST(NfsText, Versions) {
    EXPECT_THAT(parse_versions("-2 -3 +4 -4.0 -4.1 +4.2\n"), ElementsAre("4.2"));
    EXPECT_THAT(parse_versions("+3 +4 +4.0 +4.1 +4.2"), ElementsAre("3", "4.0", "4.1", "4.2"));
    EXPECT_THAT(parse_versions("+3 +4"), ElementsAre("3", "4"));
    EXPECT_THAT(parse_versions(""), IsEmpty());
}

TEST(NfsText, OnlyListenersOfItsPortAndOfRoot) {
    EXPECT_THAT(parse_listeners("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
                                "   0: 01004D0A:0801 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                                "   1: 01004D0A:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                                "   2: 01004D0A:0801 14004D0A:03FF 01 00000000:00000000 00:00000000 00000000     0\n"
                                "   3: 00000000:0801 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                                "   4: 0100007F:0801 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000\n"),
                ElementsAre("0.0.0.0:2049", "10.77.0.1:2049"));
    EXPECT_THAT(parse_listeners("   0: 00000000000000000000000000000000:0801 "
                                "00000000000000000000000000000000:0000 0A 0:0 00:0 0 0\n"),
                ElementsAre("[::]:2049"));
}

TEST(NfsText, WhoAClientIsAndWhatItHolds) {
    const char* info =
        "clientid: 0x6bb3e1d0674f6e1b\naddress: \"10.77.0.20:845\"\nstatus: confirmed\nname: \"Linux NFSv4.2 "
        "desktop\"\n";
    EXPECT_EQ(parse_client_address(info), "10.77.0.20");
    EXPECT_EQ(parse_client_address("clientid: 0x1\n"), "");
    const char* states =
        "- 0x01000000: { type: open, access: rw, deny: --, superblock: \"fd:02:12\", filename: \"heartbeat\", owner: "
        "\"o\" }\n";
    EXPECT_TRUE(holds_state_on(states, makedev(0xfd, 2)));
    EXPECT_FALSE(holds_state_on(states, makedev(0xfd, 0)));
    EXPECT_FALSE(holds_state_on(states, makedev(0xfd, 0x12)));
    EXPECT_FALSE(holds_state_on("", makedev(0xfd, 2)));
}

}  // namespace
}  // namespace safe::nfs
