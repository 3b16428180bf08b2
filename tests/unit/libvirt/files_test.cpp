// Names, headers and the image store: what is on disk is either nothing or right, whatever happens meanwhile.
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "plugins/libvirt/image_store.hpp"
#include "plugins/libvirt/qcow2_header.hpp"
#include "reconciler/base/digest.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using model::ResourceId;

TEST(Layout, EveryPathHasOneNameAndEveryNameOnePath) {
    rc::check([] {
        const auto segment = rc::gen::nonEmpty(
            rc::gen::container<std::string>(rc::gen::suchThat<char>([](char c) { return c != '/' && c != '\0'; })));
        const auto segments = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(segment));
        const std::string path = fmt::format("{}", fmt::join(segments, "/"));
        const std::string name = encode_path(path);
        RC_ASSERT(name.find('/') == std::string::npos);
        RC_ASSERT(decode_path(name) == path);
    });
    for (const char* nobody : {"", "%2F", "a%2F", "%2", "%zz", "a b", "%61", "a%2f"})
        EXPECT_FALSE(decode_path(nobody)) << nobody;
}

TEST(Layout, AnImagesIdIsItsPathAsWritten) {
    EXPECT_EQ(to_text(image_id({"images/desktop.qcow2", "/x"})), "image/images/desktop.qcow2");
    EXPECT_EQ(to_text(image_id({"/srv//images/./a.img", "/x"})), "image/srv/images/a.img");
    const Layout layout("t", "/s");
    const ResourceId id = image_id({"images/a b.img", "/x"});
    EXPECT_EQ(layout.image_of(layout.current(id)), id);
    EXPECT_FALSE(layout.image_of("/s/images/x/other"));
    EXPECT_FALSE(layout.image_of("/elsewhere/images/x/current"));
}

std::vector<std::byte> header(std::uint32_t version, std::uint64_t backing, std::uint32_t length,
                              std::uint64_t features) {
    std::vector<std::byte> bytes(1024);
    const auto put = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * (size - 1 - i)));
    };
    put(0, 0x514649FB, 4);
    put(4, version, 4);
    put(8, backing, 8);
    put(16, length, 4);
    put(24, 1U << 20, 8);
    put(72, features, 8);
    for (std::size_t i = 0; i < 6; ++i) bytes[512 + i] = static_cast<std::byte>("/etc/x"[i]);
    return bytes;
}

TEST(Qcow2Header, TellsWhatAnImageRestsOn) {
    EXPECT_EQ(parse_qcow2_header(header(3, 0, 0, 0))->backing_file, "");
    EXPECT_EQ(parse_qcow2_header(header(3, 0, 0, 0))->size, 1U << 20);
    EXPECT_EQ(parse_qcow2_header(header(3, 512, 6, 0))->backing_file, "/etc/x");
    EXPECT_EQ(parse_qcow2_header(header(2, 512, 6, 0))->backing_file, "/etc/x");
    EXPECT_TRUE(parse_qcow2_header(header(3, 0, 0, 4))->external_data);
    EXPECT_FALSE(parse_qcow2_header(header(2, 0, 0, 4))->external_data) << "version 2 has no such field";
    EXPECT_FALSE(parse_qcow2_header(header(3, 2000, 6, 0))) << "a name outside of what was read";
    EXPECT_FALSE(parse_qcow2_header(header(3, 512, 0xFFFFFFFF, 0)));
    EXPECT_FALSE(parse_qcow2_header(header(4, 0, 0, 0)));
    EXPECT_FALSE(parse_qcow2_header({}));
}

TEST(Qcow2Header, NeverReadsBeyondWhatThereIs) {
    rc::check([] {
        auto bytes = header(*rc::gen::element(2U, 3U), *rc::gen::arbitrary<std::uint64_t>(),
                            *rc::gen::arbitrary<std::uint32_t>(), *rc::gen::arbitrary<std::uint64_t>());
        bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size()));
        static_cast<void>(parse_qcow2_header(bytes));  // the sanitizers judge
    });
}

class Images : public ::testing::Test {
 protected:
    void write(const std::string& content) const { std::ofstream(source_, std::ios::binary) << content; }
    [[nodiscard]] std::string kept() const {
        std::ifstream file(layout_.current(id_), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(layout_.image(id_)), {}));
    }
    [[nodiscard]] ImageSeen seen() const { return store_.look(id_)->value(); }

    testing::TemporaryDirectory home_;
    fs::path source_ = home_.path() / "image";
    Layout layout_{"t", home_.path() / "state"};
    ImageStore store_{layout_};
    ResourceId id_ = image_id({"images/a.img", ""});
};

TEST_F(Images, ImportingTwiceIsImportingOnce) {
    write("one");
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(store_.import(id_, source_, "", {}));
    EXPECT_EQ(kept(), "one");
    EXPECT_EQ(files(), 3U);
    EXPECT_EQ(seen().import.sha256, base::sha256_hex("one"));
    EXPECT_FALSE(seen().source_changed);
    EXPECT_FALSE(seen().copy_changed);
    EXPECT_EQ(*store_.list(), std::vector{id_});
    struct stat status{};
    ASSERT_EQ(::stat(layout_.current(id_).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0400U);
    ASSERT_EQ(::stat(layout_.images().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0711U);
}

TEST_F(Images, ANewSourceIsSeenAndKeptBesideTheOld) {
    write("one");
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    write("other");
    EXPECT_TRUE(seen().source_changed);
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    EXPECT_EQ(kept(), "other");
    EXPECT_TRUE(fs::exists(layout_.image(id_) / base::sha256_hex("one"))) << "disks may rest on it";
    fs::remove(source_);
    EXPECT_FALSE(seen().source_changed) << "it has done its duty";
}

TEST_F(Images, ADigestThatIsPinnedLaterCopiesNothing) {
    write("one");
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    fs::remove(source_);
    ASSERT_TRUE(store_.import(id_, source_, base::sha256_hex("one"), {}));
    EXPECT_TRUE(seen().import.pinned);
}

TEST_F(Images, AWrongDigestKeepsWhatWasThere) {
    write("one");
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    write("two");
    const base::Result<void> refused = store_.import(id_, source_, std::string(64, 'a'), {});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().cause.find(base::sha256_hex("two")), std::string::npos);
    EXPECT_NE(refused.error().cause.find(std::string(64, 'a')), std::string::npos);
    EXPECT_EQ(kept(), "one");
    EXPECT_EQ(files(), 3U);
}

TEST_F(Images, WhatCannotBeReadIsSaidWithWhatToDo) {
    const base::Result<void> missing = store_.import(id_, source_, "", {});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().cause, "No such file or directory");
    EXPECT_NE(missing.error().advice.find("path in the spec"), std::string::npos);
    EXPECT_FALSE(store_.import(id_, home_.path(), "", {})) << "a directory";
    ASSERT_EQ(::mkfifo(source_.c_str(), 0600), 0);
    EXPECT_FALSE(store_.import(id_, source_, "", {})) << "a pipe that nobody writes must not be waited for";
}

TEST_F(Images, StoppedKeepsNothing) {
    write("one");
    std::stop_source stop;  // NOLINT(misc-const-correctness): it is asked to stop
    stop.request_stop();
    const base::Result<void> stopped = store_.import(id_, source_, "", {.stop = stop.get_token()});
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().kind, base::Error::Kind::interrupted);
    EXPECT_EQ(files(), 0U);
}

/// Killed after any amount of work: what is looked at is nothing or whole, and the next import ends the same.
TEST_F(Images, KilledAnywhereTheNextOneEndsTheSame) {
    const std::string content(std::size_t{2} << 20, 'x');
    write(content);
    bool cut_short = false;
    constexpr int kills = 12;
    const auto begun = std::chrono::steady_clock::now();
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    const auto whole = std::chrono::steady_clock::now() - begun;
    for (int kill = 0; kill < kills; ++kill) {
        fs::remove_all(layout_.state_dir());
        const pid_t child = ::fork();
        if (child == 0) ::_exit(store_.import(id_, source_, "", {}) ? 0 : 1);
        std::this_thread::sleep_for(whole * kill / kills);
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        cut_short |= WIFSIGNALED(status);
        const auto looked = store_.look(id_);
        ASSERT_TRUE(looked);
        if (*looked) {
            EXPECT_EQ((*looked)->import.sha256, base::sha256_hex(kept()));
        }
        ASSERT_TRUE(store_.import(id_, source_, "", {}));
        EXPECT_EQ(kept(), content);
        EXPECT_EQ(files(), 3U) << "something of the killed one is left";
    }
    EXPECT_TRUE(cut_short) << "every import was over before its kill: this test has tested nothing";
}

TEST_F(Images, ARecordThatSomebodyWroteToIsAnErrorNotAbsence) {
    write("one");
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    std::ofstream(layout_.record(id_)) << "{\"source\": 3}";
    EXPECT_FALSE(store_.look(id_));
}

TEST_F(Images, ACopyThatVanishedIsAbsent) {
    write("one");
    ASSERT_TRUE(store_.import(id_, source_, "", {}));
    fs::remove(layout_.image(id_) / base::sha256_hex("one"));
    EXPECT_EQ(store_.look(id_)->has_value(), false);
}

}  // namespace
}  // namespace safe::libvirt
