#include "plugins/iscsi/scsi.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

namespace safe::iscsi {
namespace {

std::vector<std::byte> bytes(const std::string& text) {
    std::vector<std::byte> data;
    for (const char c : text) data.push_back(static_cast<std::byte>(c));
    return data;
}

std::string page(char code, const std::string& content) {
    return std::string{'\0', code, '\0', static_cast<char>(content.size())} + content;
}
std::string designator(char code_set, char type, const std::string& value) {
    return std::string{code_set, type, '\0', static_cast<char>(value.size())} + value;
}

TEST(Scsi, ASerialNumberIsTrimmed) { EXPECT_EQ(serial_of(bytes(page('\x80', std::string("  AB12 \0\0", 9)))), "AB12"); }

TEST(Scsi, ASerialNumberCannotForgeALine) { EXPECT_EQ(serial_of(bytes(page('\x80', "A\nB\x1b[2J"))), "A?B?[2J"); }

TEST(Scsi, AnotherPageIsNoSerialNumber) { EXPECT_EQ(serial_of(bytes(page('\x83', "AB12"))), ""); }

TEST(Scsi, ALengthThatLiesIsCutToWhatIsThere) {
    std::string lying = page('\x80', "AB12");
    lying[3] = '\x7f';
    EXPECT_EQ(serial_of(bytes(lying)), "AB12");
}

TEST(Scsi, TheDesignatorThatIsUniqueInTheWorldWins) {
    const std::string t10 = designator(2, 1, "VENDOR  one");
    const std::string local = designator(1, 3, std::string("\x30\x01\x02\x03\x04\x05\x06\x07", 8));
    const std::string naa = designator(1, 3, std::string("\x60\x01\x40\x51\x02\x03\x04\x05", 8));
    EXPECT_EQ(designator_of(bytes(page('\x83', t10 + local + naa))), "naa.6001405102030405");
    EXPECT_EQ(designator_of(bytes(page('\x83', local + t10))), "t10.VENDOR  one");
    EXPECT_EQ(designator_of(bytes(page('\x83', local))), "naa.3001020304050607");
}

TEST(Scsi, ADesignatorOfTheTargetPortIsNotTheUnits) {
    EXPECT_EQ(designator_of(bytes(page('\x83', designator(1, 0x13, "\x60\x01\x40\x51")))), "");
}

TEST(Scsi, ACapacityIsBlocksTimesTheirSize) {
    const auto capacity = capacity_of(bytes(std::string("\0\0\0\0\0\0\x3f\xff\0\0\2\0", 12)));
    ASSERT_TRUE(capacity);
    EXPECT_EQ(capacity->blocks, 16384U);
    EXPECT_EQ(capacity->block_size, 512U);
}

TEST(Scsi, SizesThatNoDiskHasAreRefused) {
    EXPECT_FALSE(capacity_of(bytes(std::string("\xff\xff\xff\xff\xff\xff\xff\xff\0\0\2\0", 12))));
    EXPECT_FALSE(capacity_of(bytes(std::string("\0\0\0\0\0\0\0\x01\0\0\2\x01", 12))));
    EXPECT_FALSE(capacity_of(bytes(std::string("\0\0\0\0\0\0\0\x01\0\0\0\0", 12))));
    EXPECT_FALSE(capacity_of(bytes("short")));
}

TEST(Scsi, OnlyAConnectedDiskIsADisk) {
    EXPECT_TRUE(is_disk(bytes(std::string("\0", 1))));
    EXPECT_FALSE(is_disk(bytes("\x7f")));                  // not there
    EXPECT_FALSE(is_disk(bytes("\x0c")));                  // tgtd's controller, LUN 0
    EXPECT_FALSE(is_disk(bytes(std::string("\x20", 1))));  // a disk that is not connected
    EXPECT_FALSE(is_disk({}));
}

TEST(Scsi, UnitsAreListedByNumber) {
    std::string answer("\0\0\0\x18\0\0\0\0", 8);
    answer +=
        std::string("\0\2\0\0\0\0\0\0", 8) + std::string("\0\0\0\0\0\0\0\0", 8) + std::string("\x40\7\0\0\0\0\0\0", 8);
    EXPECT_EQ(luns_of(bytes(answer)), (std::vector<std::uint32_t>{0, 2, 7}));
}

TEST(Scsi, ALuksHeaderIsKnownByItsUuid) {
    std::string header(4096, '\0');
    EXPECT_EQ(luks_uuid(bytes(header)), std::nullopt);
    header.replace(0, 6, "LUKS\xba\xbe", 6);
    EXPECT_EQ(luks_uuid(bytes(header)), "unreadable");
    header.replace(168, 36, "0f0e0d0c-0b0a-4908-8706-050403020100");
    EXPECT_EQ(luks_uuid(bytes(header)), "0f0e0d0c-0b0a-4908-8706-050403020100");
}

TEST(Scsi, WhateverAStorageAnswersIsReadWithinItsBounds) {
    rc::check([](const std::vector<std::uint8_t>& noise, std::uint8_t code) {
        std::vector<std::byte> data;
        for (const std::uint8_t byte : noise) data.push_back(std::byte{byte});
        if (data.size() > 1) data[1] = code % 2 == 0 ? std::byte{0x80} : std::byte{0x83};
        for (const std::string& text : {serial_of(data), designator_of(data)})
            for (const char c : text) RC_ASSERT(c >= ' ' && c <= '~');
        const auto capacity = capacity_of(data);
        if (capacity) RC_ASSERT(capacity->blocks * capacity->block_size / capacity->block_size == capacity->blocks);
        RC_ASSERT(luns_of(data).size() <= data.size() / 8);
        static_cast<void>(is_disk(data) || write_protected(data) || luks_uuid(data));
    });
}

}  // namespace
}  // namespace safe::iscsi
