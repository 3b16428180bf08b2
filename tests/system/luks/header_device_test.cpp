// A header on a block device whose storage does not keep what it was given.
#include "plugins/luks/header_device.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/filesystem/loop_device.hpp"
#include "tests/support/luks/sample_header.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::test {
namespace {

TEST(HeaderDevice, WhatIsReadAfterWritingIsWhatTheStorageHas) {
    const testing::TemporaryDirectory directory;
    const std::filesystem::path storage = directory.path() / "storage";
    const LoopDevice loop(storage, 64 * luks::mebibyte);
    if (!loop.there()) GTEST_SKIP() << "no loop device: " << loop.why();
    const luks::Header header = sample_header();
    std::string image = luks::render_both(header).value();
    image.resize(luks::end_of_areas(header));
    const auto device = luks::HeaderDevice::open(loop.path(), luks::HeaderDevice::Access::write);
    ASSERT_TRUE(device) << to_text(device.error());
    const auto written = device->write(image, header);
    ASSERT_TRUE(written) << to_text(written.error());
    std::fstream file(storage, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4200);
    file << "damage" << std::flush;
    EXPECT_NE(device->read_copies()->primary_fault, "") << "it was read from memory";
}

}  // namespace
}  // namespace safe::test
