// The small readers below the checks: what they take, and what they refuse to guess.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconciler/verify/kernel_settings.hpp"
#include "reconciler/verify/mounts.hpp"
#include "reconciler/verify/nfs.hpp"
#include "reconciler/verify/text.hpp"
#include "tests/unit/verify/fake_host.hpp"

namespace safe::verify::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Text, LinesWordsAndEscapes) {
    EXPECT_THAT(lines_of("a\n\nb\n"), ElementsAre("a", "b"));
    EXPECT_THAT(words_of(" a\t b "), ElementsAre("a", "b"));
    EXPECT_THAT(parts_of("a,,b", ','), ElementsAre("a", "", "b"));
    EXPECT_EQ(without_escapes(R"(/my\040data\x\04)"), R"(/my data\x\04)");
    EXPECT_EQ(number_of("17"), 17U);
    EXPECT_EQ(number_of("17x"), std::nullopt);
    EXPECT_TRUE(is_below("/srv/a/b", "/srv/a"));
    EXPECT_FALSE(is_below("/srv/ab", "/srv/a"));
}

TEST(Findings, ManyUnknownOnesWithOneCauseAreOneLineAndStillUnknown) {
    Lines lines("holders");
    lines.ok("/a", "fine");
    for (int i = 0; i < 5; ++i)
        lines.unknown("/proc", {.attempt = "look at", .object = std::to_string(i), .cause = "Permission denied"});
    for (int i = 0; i < 3; ++i) lines.unknown("/proc", {.attempt = "look at", .object = "x", .cause = "gone mad"});
    const std::vector<Finding> taken = lines.take();
    ASSERT_EQ(taken.size(), 5U);
    EXPECT_EQ(taken[1].found, "cannot look at 0: Permission denied, and 4 more like it");
    EXPECT_EQ(taken[1].verdict, Verdict::unknown);
    EXPECT_EQ(taken[4].found, "cannot look at x: gone mad");
}

TEST(DeviceNumbers, AreTwoNumbersAndNothingElse) {
    EXPECT_EQ(parse_device_number("253:7"), (DeviceNumber{253, 7}));
    for (const char* text : {"", "253", "253:", ":7", "253:7 ", "a:b"})
        EXPECT_EQ(parse_device_number(text), std::nullopt) << text;
}

TEST(MountInfo, WithAndWithoutOptionalFields) {
    const auto mounts = parse_mounts(
        "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
        "37 35 0:5 / /x ro - tmpfs none rw\n");
    ASSERT_TRUE(mounts);
    ASSERT_EQ(mounts->size(), 2U);
    EXPECT_EQ((*mounts)[0].point, "/mnt 2");
    EXPECT_EQ((*mounts)[0].source, "/dev/root");
    EXPECT_FALSE((*mounts)[0].read_only());
    EXPECT_TRUE((*mounts)[1].read_only());
    for (const char* line : {"36 35 98:0 / /x rw\n", "36 35 98 / /x rw - ext3 a rw\n", "36 - 98:0 / /x rw a b c\n"})
        EXPECT_FALSE(parse_mounts(line)) << line;
}

TEST(Exports, OneOrManyClientsAndCommentedOnes) {
    const auto exports =
        parse_exports("#path domain(flags)\n/a\\040b\t10.0.0.1/32(ro,sync) *(rw)\n# /gone x(rw)\n/open\n");
    ASSERT_EQ(exports.size(), 3U);
    EXPECT_EQ(exports[0].path, "/a b");
    EXPECT_EQ(exports[0].client, "10.0.0.1");
    EXPECT_TRUE(exports[0].read_only);
    EXPECT_EQ(exports[1].client, "*");
    EXPECT_FALSE(exports[1].read_only);
    EXPECT_EQ(exports[2].client, "*");
}

TEST(NfsClients, AddressAndFilesystems) {
    const NfsClient client =
        parse_client("3", "clientid: 0x1\naddress: \"10.77.0.20:863\"\n",
                     "- 0x1: { type: open, superblock: \"fd:0a:131\" }\n- 0x2: { superblock: \"fd:0a:9\" }\n");
    EXPECT_EQ(client.address, "10.77.0.20");
    EXPECT_THAT(client.filesystems, ElementsAre(DeviceNumber{253, 10}));
    EXPECT_THAT(parse_client("3", "", "").filesystems, IsEmpty());
}

TEST(Kernel, TheLastWordOnTheCommandLineCounts) {
    EXPECT_EQ(boot_parameter("a init_on_free=0 init_on_free=1", "init_on_free"), "1");
    EXPECT_EQ(boot_parameter("a -- init_on_free=1", "init_on_free"), std::nullopt);
    EXPECT_EQ(boot_parameter("xinit_on_free=1 init_on_freezing=1", "init_on_free"), std::nullopt);
}

TEST(Kernel, InitOnFreeByCommandLineOrConfiguration) {
    const FakeHost host;
    const auto wipes = [&](const std::string& line) {
        host.write("/proc/cmdline", line + "\n");
        return wipes_freed_memory(host.system())->yes;
    };
    for (const char* yes : {"1", "y", "Y", "on", "On"}) EXPECT_TRUE(wipes(std::string("init_on_free=") + yes)) << yes;
    for (const char* no : {"0", "n", "off", "", "2"}) EXPECT_FALSE(wipes(std::string("init_on_free=") + no)) << no;
    host.write("/proc/sys/kernel/osrelease", "6.1.0\n");
    host.write("/boot/config-6.1.0", "# CONFIG_INIT_ON_FREE_DEFAULT_ON is not set\n");
    EXPECT_FALSE(wipes("quiet"));
    host.write("/boot/config-6.1.0", "CONFIG_INIT_ON_FREE_DEFAULT_ON=y\n");
    EXPECT_TRUE(wipes("quiet"));
    EXPECT_TRUE(wipes("init_on_free=2")) << "what the kernel does not understand changes nothing";
    EXPECT_FALSE(wipes("init_on_free=0"));
}

}  // namespace
}  // namespace safe::verify::test
