// Secrets: what is kept of them and for how long, what is made of a password, and which files are believed.
#include "reconciler/base/secret.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>

#include "reconciler/base/file_descriptor.hpp"
#include "reconciler/base/key_derivation.hpp"
#include "reconciler/driver/secret_source.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::base {
namespace {

namespace fs = std::filesystem;

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string> && !std::is_convertible_v<Secret, std::string_view>);

/// Root of a namespace that has no other users (tests/run --quick) cannot.
bool can_become_nobody() {
    std::uint32_t inside = 0;
    std::uint32_t outside = 0;
    std::uint32_t count = 0;
    std::ifstream("/proc/self/uid_map") >> inside >> outside >> count;
    return ::geteuid() == 0 && count > 65534;
}

Secret secret(std::string_view text) { return std::move(*Secret::copy_of(std::as_bytes(std::span(text)))); }
Result<Secret> seed(std::string_view password, std::size_t salt_size, std::string_view user) {
    const std::array<std::byte, 80> salt{};
    return derive_seed(secret(password), std::span(salt).first(salt_size), user, {.memory = 8192, .passes = 1});
}

constexpr bool can_lock = !testing::under_a_sanitizer;

TEST(Secret, IsLockedInMemoryAndLeftOutOfCoreDumps) {
    if (!can_lock) GTEST_SKIP() << "the sanitizers turn mlock(2) into nothing";
    const Result<Secret> kept = Secret::of_size(32);
    ASSERT_TRUE(kept.has_value());
    const auto address = reinterpret_cast<std::uintptr_t>(kept->bytes().data());
    std::ifstream maps("/proc/self/smaps");
    std::string line;
    bool inside = false;
    std::string flags;
    while (std::getline(maps, line)) {
        std::uintptr_t first = 0;
        std::uintptr_t last = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) inside = first <= address && address < last;
        if (inside && line.starts_with("VmFlags:")) flags = line;
    }
    EXPECT_NE(flags.find(" lo"), std::string::npos) << flags;  // locked
    EXPECT_NE(flags.find(" dd"), std::string::npos) << flags;  // do not dump
}

TEST(Secret, IsRefusedWhereMemoryCannotBeLocked) {
    if (!can_lock) GTEST_SKIP() << "the sanitizers turn mlock(2) into nothing";
    if (!can_become_nobody()) GTEST_SKIP() << "the right to lock is given up by becoming nobody";
    const pid_t child = ::fork();
    if (child == 0) {
        // CAP_IPC_LOCK goes with the user.
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0 || ::setuid(65534) != 0) ::_exit(2);
        ::_exit(Secret::of_size(32).has_value() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "1: a secret was kept in memory that may be swapped";
}

TEST(Secret, MovingLeavesNothingBehind) {
    Secret first = secret("canary");
    const Secret second = std::move(first);
    EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): what is left is the question
    EXPECT_EQ(second.view(), "canary");
}

TEST(Secret, ShorteningWipesTheRest) {
    Secret kept = secret("canary-and-tail");
    const std::byte* rest = kept.bytes().data() + 6;
    kept.shorten(6);
    EXPECT_EQ(kept.view(), "canary");
    EXPECT_TRUE(std::all_of(rest, rest + 9, [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(Secret, IsReadWithoutOneFinalLineBreakAndNotBeyondItsLimit) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const FileDescriptor reader(pipe[0]);
    {
        const FileDescriptor writer(pipe[1]);
        ASSERT_EQ(::write(writer.get(), "canary\n\n", 8), 8);
    }
    const Result<Secret> read = Secret::read_from(reader.get(), 16);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->view(), "canary\n");
    const FileDescriptor endless(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const Result<Secret> too_long = Secret::read_from(endless.get(), 16);
    ASSERT_FALSE(too_long.has_value());
    EXPECT_NE(too_long.error().cause.find("longer than 16"), std::string::npos);
}

TEST(KeyDerivation, DependsOnPasswordUserSaltAndLabel) {
    const Result<Secret> alice = seed("correct horse", 16, "alice");
    ASSERT_TRUE(alice.has_value());
    EXPECT_EQ(alice->view(), seed("correct horse", 16, "alice")->view()) << "the same key every time";
    EXPECT_NE(alice->view(), seed("correct horse", 16, "bob")->view());
    EXPECT_NE(alice->view(), seed("correct Horse", 16, "alice")->view());
    EXPECT_NE(alice->view(), seed("correct horse", 17, "alice")->view());
    const Result<Secret> luks = derive_subkey(*alice, luks_label);
    const Result<Secret> directory = derive_subkey(*alice, directory_label);
    ASSERT_TRUE(luks && directory);
    EXPECT_NE(luks->view(), directory->view());
    EXPECT_NE(luks->view(), alice->view());
}

TEST(KeyDerivation, RefusesWhatWouldMakeItWeak) {
    EXPECT_FALSE(seed("", 16, "alice").has_value()) << "an empty password";
    EXPECT_FALSE(seed("correct horse", 0, "alice").has_value()) << "no salt";
    EXPECT_FALSE(seed("correct horse", 15, "alice").has_value()) << "a short salt";
    EXPECT_FALSE(seed("correct horse", 65, "alice").has_value()) << "a long salt";
    EXPECT_FALSE(derive_subkey(secret("short"), luks_label).has_value()) << "a seed that is none";
    EXPECT_FALSE(derive_subkey(Secret(), luks_label).has_value()) << "no seed";
}

TEST(KeyDerivation, SaysWhenThereIsNoMemoryForIt) {
    const std::array<std::byte, 16> salt{};
    const Result<Secret> made =
        derive_seed(secret("correct horse"), salt, "alice", {.memory = std::uint64_t{3} << 40U, .passes = 1});
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().cause.find("correct horse"), std::string::npos);
}

class SecretFile : public ::testing::Test {
 protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "a file of root's is root's to make";
        std::ofstream(file_) << "canary\n";
        fs::permissions(file_, fs::perms(0600));
    }
    [[nodiscard]] Result<Secret> read() const {
        return driver::read_secret({specs::SecretRef::Kind::file, file_.string()});
    }
    void expect_refused(std::string_view why) const {
        const Result<Secret> got = read();
        ASSERT_FALSE(got.has_value()) << why;
        EXPECT_EQ(to_text(got.error()).find("canary"), std::string::npos) << "the content is never told";
        EXPECT_NE(to_text(got.error()).find(file_.string()), std::string::npos) << "the file is";
    }

    testing::TemporaryDirectory directory_;
    fs::path file_ = directory_.path() / "secret";
};

TEST_F(SecretFile, OfRootAloneIsRead) {
    const Result<Secret> got = read();
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->view(), "canary");
}

TEST_F(SecretFile, ThatOthersMayReadIsRefused) {
    for (const auto mode : {0640, 0604, 0620, 0601}) {
        fs::permissions(file_, fs::perms(mode));
        expect_refused("a mode that lets others in");
    }
}

TEST_F(SecretFile, OfSomebodyElseIsRefused) {
    if (!can_become_nobody()) GTEST_SKIP() << "there is nobody else to give it to";
    ASSERT_EQ(::chown(file_.c_str(), 65534, 65534), 0);
    expect_refused("another owner");
}

TEST_F(SecretFile, BehindALinkIsRefused) {
    fs::rename(file_, directory_.path() / "real");
    fs::create_symlink("real", file_);
    expect_refused("a link");
}

TEST_F(SecretFile, ThatIsNoFileIsRefused) {
    fs::remove(file_);
    expect_refused("missing");
    fs::create_directory(file_);
    expect_refused("a directory");
    fs::remove(file_);
    ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
    expect_refused("a pipe nobody writes to, which must not be waited for");
}

TEST_F(SecretFile, ThatIsEmptyIsRefused) {
    std::ofstream(file_, std::ios::trunc).close();
    expect_refused("empty");
}

TEST(SecretCredential, IsRefusedWithoutADirectoryOfThem) {
    ::unsetenv("CREDENTIALS_DIRECTORY");
    EXPECT_FALSE(driver::read_secret({specs::SecretRef::Kind::credential, "chap"}).has_value());
}

}  // namespace
}  // namespace safe::base
