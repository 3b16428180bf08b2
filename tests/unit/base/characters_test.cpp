#include "reconciler/base/characters.hpp"

#include <gtest/gtest.h>

namespace safe::base {
namespace {

TEST(Printable, LeavesWhatPeopleWriteAsItIs) {
    for (const char* text : {"", "vm/desktop", "é € 🔒 → … \\x41", "Алиса", "愛麗絲"}) EXPECT_EQ(printable(text), text);
}

TEST(Printable, SpellsOutWhatATerminalObeysOrAReaderCannotSee) {
    EXPECT_EQ(printable("a\tb\r\nc"), "a\\x09b\\x0d\\x0ac");
    EXPECT_EQ(printable("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
    EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
    EXPECT_EQ(printable("Alice\xc2\x9b"
                        "2J"),
              "Alice\\u009b2J");
    EXPECT_EQ(printable("\xe2\x80\xae"
                        "evil"),
              "\\u202eevil");
    EXPECT_EQ(printable("\xf3\xa0\x81\x81"), "\\U000e0041");
}

TEST(Printable, SpellsOutWhatIsNoUtf8) {
    EXPECT_EQ(printable("\x9b"
                        "2J"),
              "\\x9b2J");
    EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b") << "an overlong form";
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
    EXPECT_EQ(printable("a\xe2\x80"), "a\\xe2\\x80") << "cut off";
}

}  // namespace
}  // namespace safe::base
