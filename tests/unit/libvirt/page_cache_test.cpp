// What is read ahead is in memory; it neither changes a file nor holds anybody up.
#include "plugins/libvirt/page_cache.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t size = std::size_t{3} << 20;

class PageCache : public ::testing::Test {
 protected:
    /// How much of the file is in memory (mincore(2)); with `drop`, as little as can be.
    [[nodiscard]] std::size_t resident(bool drop) const {
        const int file = ::open(path_.c_str(), O_RDWR);
        if (drop) {
            ::fsync(file);
            ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        }
        void* const start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
        std::vector<unsigned char> pages(size / 4096);
        EXPECT_EQ(::mincore(start, size, pages.data()), 0);
        ::munmap(start, size);
        ::close(file);
        std::size_t count = 0;
        for (const unsigned char page : pages) count += page & 1U;
        return count;
    }
    void fill() const { std::ofstream(path_) << std::string(size, 'm'); }
    [[nodiscard]] std::string content() const {
        std::ifstream file(path_);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    const testing::TemporaryDirectory directory_;
    const fs::path path_ = directory_.path() / "desk.save";
};

TEST_F(PageCache, AFileThatIsReadAheadIsInMemoryWhole) {
    fill();
    EXPECT_LE(resident(true), size / 4096);
    // A hint: a kernel that is short of memory at that moment leaves pages out, and may be asked again.
    for (int asked = 0; asked < 10 && resident(false) < size / 4096; ++asked) {
        const ReadAhead reading(path_);
        for (int tries = 0; tries < 100 && resident(false) < size / 4096; ++tries)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(resident(false), size / 4096);
    EXPECT_EQ(content(), std::string(size, 'm'));
}

TEST_F(PageCache, AFileThatIsNotThereOrIsNoFileIsLeftAlone) {
    for (int i = 0; i < 50; ++i) const ReadAhead reading(path_);
    EXPECT_FALSE(fs::exists(path_));
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    const ReadAhead reading(path_);
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
}

}  // namespace
}  // namespace safe::libvirt
