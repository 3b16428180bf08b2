// The driver on the kernel's own mounts, with a loop device in the place of the mapping and everything in a mount
// namespace of the test's own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <functional>

#include "plugins/filesystem/filesystem_driver.hpp"
#include "plugins/filesystem/holders.hpp"
#include "plugins/filesystem/provisioning.hpp"
#include "reconciler/base/process.hpp"
#include "reconciler/planning/difference.hpp"
#include "tests/support/filesystem/loop_device.hpp"
#include "tests/support/filesystem/sample_volumes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;
using model::Absent;
using model::Kind;
using model::make_id;
using model::Mode;
using model::Present;
using ::testing::HasSubstr;

constexpr off_t disk_size = 400 << 20;  // enough for the smallest xfs

/// Another process that does something, says so, and stays until it is let go.
class Neighbour {
 public:
    explicit Neighbour(const std::function<bool()>& task) {
        std::array<int, 2> ready{};
        if (::pipe2(ready.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
        child_ = ::fork();
        if (child_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const char done = task() ? 'y' : 'n';
            if (::write(ready[1], &done, 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        ::close(ready[1]);
        char said = 'n';
        if (::read(ready[0], &said, 1) != 1 || said != 'y') throw std::runtime_error("the neighbour could not");
        ::close(ready[0]);
    }
    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;
    Neighbour(Neighbour&&) = delete;
    Neighbour& operator=(Neighbour&&) = delete;
    ~Neighbour() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const { return child_; }

 private:
    pid_t child_ = -1;
};

class MountOnKernel : public ::testing::TestWithParam<unsigned long> {
 protected:
    void SetUp() override {
        // What the host's "/" is: shared, as systemd leaves it, or private, as the kernel does.
        if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | GetParam(), nullptr) != 0)
            GTEST_SKIP() << "unshare(CLONE_NEWNS): " << base::errno_text(errno);
        loop = std::make_unique<test::LoopDevice>(directory.path() / "disk", disk_size);
        if (!loop->there()) GTEST_SKIP() << "no loop device: " << loop->why();
        spec.safe = {safe};
        fs::create_directories("/dev/mapper");
        fs::create_directories(marker_of(places, "data").parent_path());
        restart();
    }
    void TearDown() override {
        for (const auto& volume : spec.volumes) {
            ::umount2(places.mount_point(volume.name).c_str(), MNT_DETACH);
            fs::remove(places.mapped(volume.name));
        }
        ::umount2(places.mount_root().c_str(), MNT_DETACH);
    }

    /// The volume that the device belongs to.
    void map(const std::string& volume) { fs::create_symlink(loop->path(), places.mapped(volume)); }
    void mark(const std::string& volume) { std::ofstream(marker_of(places, volume)).flush(); }
    void restart() { driver = std::move(make_drivers({.spec = spec, .places = places, .keys = keys}).front()); }

    model::Observation seen(const std::string& volume) {
        const auto id = make_id(Kind::mount, volume);
        return driver->observe({{id}, false}, {}).observations.at(id);
    }

    model::Resource wanted(const std::string& volume) {
        for (const model::Resource& resource : driver->desire(spec, Mode::open).resources)
            if (resource.id == make_id(Kind::mount, volume)) return resource;
        return {};
    }

    base::Result<void> bring_about(const std::string& volume, Mode mode) {
        const auto id = make_id(Kind::mount, volume);
        for (const model::Resource& resource : driver->desire(spec, mode).resources) {
            if (resource.id != id) continue;
            const model::Observation now = seen(volume);
            model::Step step;
            step.resource = id;
            if (mode == Mode::closed) step.action = model::Action::remove;
            if (auto done = driver->apply(step, resource, now, {}); !done) return done;
            const model::Observation after = seen(volume);
            const auto* present = std::get_if<Present>(&after);
            if (mode == Mode::open)
                EXPECT_TRUE(present != nullptr && present->attributes == resource.attributes);
            else
                EXPECT_TRUE(std::holds_alternative<Absent>(after));
        }
        return {};
    }

    void open_new(const std::string& volume) {
        map(volume);
        mark(volume);
        const auto done = bring_about(volume, Mode::open);
        ASSERT_TRUE(done) << to_text(done.error());
        EXPECT_FALSE(fs::exists(marker_of(places, volume)));
    }

    dev_t device() {
        struct stat status{};
        return ::stat(loop->path().c_str(), &status) == 0 ? status.st_rdev : 0;
    }

    std::string safe = "t" + std::to_string(::getpid());
    ::safe::testing::TemporaryDirectory directory;
    specs::SafeSpec spec = test::sample_volumes();
    driver::Places places{safe, directory.path() / "state", directory.path() / "run", directory.path() / "srv"};
    driver::KeyRing keys;
    std::unique_ptr<test::LoopDevice> loop;
    std::unique_ptr<driver::Driver> driver;
};

TEST_P(MountOnKernel, ANewVolumeIsMadeUsedClosedAndOpenedAgain) {
    open_new("data");
    struct stat root{};
    ASSERT_EQ(::stat(places.mount_point("data").c_str(), &root), 0);
    EXPECT_EQ(root.st_mode & 07777U, 01777U) << "members make their files there";
    std::ofstream(places.mount_point("data") / "note") << "kept";
    ASSERT_TRUE(bring_about("data", Mode::closed));
    EXPECT_FALSE(fs::exists(places.mount_point("data") / "note"));
    // The marker is back, as when whoever opens it was killed before it could forget: nothing is formatted, and the
    // root stays as members have set it.
    ASSERT_TRUE(bring_about("data", Mode::open));
    fs::permissions(places.mount_point("data"), fs::perms(0750));
    ASSERT_TRUE(bring_about("data", Mode::closed));
    mark("data");
    ASSERT_TRUE(bring_about("data", Mode::open));
    EXPECT_TRUE(fs::exists(places.mount_point("data") / "note"));
    EXPECT_FALSE(fs::exists(marker_of(places, "data")));
    EXPECT_EQ(::stat(places.mount_point("data").c_str(), &root), 0);
    EXPECT_EQ(root.st_mode & 07777U, 0750U);
}

// mountinfo has resolved paths.
TEST_P(MountOnKernel, PlacesBehindALinkAreSeenAndTakenAway) {
    fs::create_directories(directory.path() / "elsewhere");
    fs::create_directory_symlink("elsewhere", directory.path() / "srv");
    places = driver::Places(safe, directory.path() / "state", directory.path() / "run", directory.path() / "srv");
    restart();
    open_new("data");
    EXPECT_TRUE(fs::exists(directory.path() / "srv" / safe / "data" / "lost+found"));
    // As the next command finds it, when what the link leads to has been made.
    places = driver::Places(safe, directory.path() / "state", directory.path() / "run", directory.path() / "srv");
    restart();
    EXPECT_TRUE(std::holds_alternative<Present>(seen("data")));
    // The link is changed meanwhile.
    const driver::Places before = places;
    places = driver::Places(safe, directory.path() / "state", directory.path() / "run", directory.path() / "other");
    restart();
    const auto astray = bring_about("data", Mode::closed);
    ASSERT_FALSE(astray);
    EXPECT_THAT(to_text(astray.error()), HasSubstr("`umount " + before.mount_point("data").string() + "`"));
    places = before;
    restart();
    const auto closed = bring_about("data", Mode::closed);
    ASSERT_TRUE(closed) << to_text(closed.error());
    EXPECT_FALSE(fs::exists(directory.path() / "srv" / safe / "data" / "lost+found"));
}

TEST_P(MountOnKernel, TheVaultHasItsRooms) {
    open_new("vault");
    struct stat status{};
    ASSERT_EQ(::stat((places.mount_point("vault") / "keys").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0700U);
    ASSERT_EQ(::stat((places.mount_point("vault") / "disks").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0711U);
}

TEST_P(MountOnKernel, XfsToo) {
    if (::access("/usr/sbin/mkfs.xfs", X_OK) != 0 && ::access("/sbin/mkfs.xfs", X_OK) != 0)
        GTEST_SKIP() << "no mkfs.xfs";
    spec.volumes[1].filesystem = {specs::Filesystem::xfs};
    open_new("data");
    ASSERT_TRUE(bring_about("data", Mode::closed));
    ASSERT_TRUE(bring_about("data", Mode::open));
}

TEST_P(MountOnKernel, AnXfsThatHasShutDownIsMountedAnew) {
    if (::access("/usr/sbin/mkfs.xfs", X_OK) != 0 && ::access("/sbin/mkfs.xfs", X_OK) != 0)
        GTEST_SKIP() << "no mkfs.xfs";
    spec.volumes[1].filesystem = {specs::Filesystem::xfs};
    open_new("data");
    const fs::path kept = places.mount_point("data") / "kept";
    std::ofstream(kept) << "before";
    ASSERT_EQ(std::system(("sync -f " + kept.string()).c_str()), 0);
    {
        // As a log that cannot be written to does it: XFS_IOC_GOINGDOWN without flushing the log.
        const base::FileDescriptor root(::open(places.mount_point("data").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        std::uint32_t flags = 2;
        ASSERT_EQ(::ioctl(root.get(), _IOR('X', 125, std::uint32_t), &flags), 0) << base::errno_text(errno);
    }
    const model::Observation now = seen("data");
    const auto* present = std::get_if<Present>(&now);
    ASSERT_NE(present, nullptr);
    const std::vector changes = planning::difference(present->attributes, wanted("data").attributes);
    ASSERT_FALSE(changes.empty()) << "guests get nothing but errors";
    const model::Assessment assessed = driver->classify(model::Action::change, wanted("data"), now, changes);
    EXPECT_EQ(assessed.verb, "remount");
    EXPECT_TRUE(assessed.dependents_down);
    const auto done = bring_about("data", Mode::open);
    ASSERT_TRUE(done) << to_text(done.error());
    EXPECT_TRUE(fs::exists(kept));
    ASSERT_TRUE(bring_about("data", Mode::closed));
}

TEST_P(MountOnKernel, MkfsKilledInTheMiddleIsDoneAgain) {
    map("data");
    mark("data");
    // The superblock that a killed mkfs may leave: sound enough to be recognised, with the rest missing.
    ASSERT_TRUE(make_system_api()->make("ext4", loop->path(), "data", false));
    const base::FileDescriptor disk(::open(loop->path().c_str(), O_RDWR | O_CLOEXEC));
    const std::string zeros(1 << 20, '\0');
    ASSERT_EQ(::pwrite(disk.get(), zeros.data(), zeros.size(), 4096), static_cast<ssize_t>(zeros.size()));
    ASSERT_EQ(::fsync(disk.get()), 0);
    ASSERT_FALSE(make_system_api()->check("ext4", loop->path()));
    const auto done = bring_about("data", Mode::open);
    ASSERT_TRUE(done) << to_text(done.error());
}

TEST_P(MountOnKernel, AUsedFileSystemThatIsBrokenIsNeverMadeAnew) {
    open_new("data");
    ASSERT_TRUE(bring_about("data", Mode::closed));
    const base::FileDescriptor disk(::open(loop->path().c_str(), O_RDWR | O_CLOEXEC));
    const std::string zeros(1 << 20, '\0');
    ASSERT_EQ(::pwrite(disk.get(), zeros.data(), zeros.size(), 4096), static_cast<ssize_t>(zeros.size()));
    ASSERT_EQ(::fsync(disk.get()), 0);
    mark("data");
    std::string before(2048, '\0');
    ASSERT_EQ(::pread(disk.get(), before.data(), before.size(), 0), 2048);
    const auto done = bring_about("data", Mode::open);
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("e2fsck"));
    EXPECT_TRUE(std::holds_alternative<Absent>(seen("data")));
}

TEST_P(MountOnKernel, OtherSignaturesAreRefused) {
    map("data");
    mark("data");
    const base::FileDescriptor disk(::open(loop->path().c_str(), O_RDWR | O_CLOEXEC));
    const std::string luks("LUKS\xBA\xBE\x00\x01", 8);
    ASSERT_EQ(::pwrite(disk.get(), luks.data(), luks.size(), 0), 8);
    ASSERT_EQ(::fsync(disk.get()), 0);
    const auto done = bring_about("data", Mode::open);
    ASSERT_FALSE(done);
    EXPECT_THAT(to_text(done.error()), HasSubstr("crypto_LUKS"));
    std::string now(8, '\0');
    ASSERT_EQ(::pread(disk.get(), now.data(), now.size(), 0), 8);
    EXPECT_EQ(now, luks);
}

TEST_P(MountOnKernel, WhoHoldsItIsNamedByProcess) {
    open_new("data");
    std::ofstream(places.mount_point("data") / "note") << "kept";
    const auto held_by = [&](const std::function<bool()>& task) {
        const Neighbour neighbour(task);
        const auto held = bring_about("data", Mode::closed);
        ASSERT_FALSE(held);
        EXPECT_THAT(to_text(held.error()), HasSubstr("process " + std::to_string(neighbour.pid())));
        EXPECT_THAT(to_text(held.error()), ::testing::Not(HasSubstr("note"))) << "names of files are data";
    };
    const std::string place = places.mount_point("data");
    const std::string file = place + "/note";
    held_by([&] { return ::open(file.c_str(), O_RDONLY) >= 0; });
    held_by([&] { return ::chdir(place.c_str()) == 0; });
    held_by([&] { return ::chroot(place.c_str()) == 0; });
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_P(MountOnKernel, MountsOfOthersOverItAndBelowItAreNamed) {
    open_new("data");
    const fs::path place = places.mount_point("data");
    const auto refused = [&] {
        const auto done = bring_about("data", Mode::closed);
        return done ? std::string("closed") : to_text(done.error());
    };
    for (const fs::path& cover : {place, places.mount_root()}) {
        ASSERT_EQ(::mount("scratch", cover.c_str(), "tmpfs", 0, nullptr), 0) << base::errno_text(errno);
        EXPECT_TRUE(std::holds_alternative<model::Unknown>(seen("data")));
        EXPECT_THAT(refused(), HasSubstr("`umount " + cover.string() + "`"));
        ASSERT_EQ(::umount2(cover.c_str(), UMOUNT_NOFOLLOW), 0) << "it is still there";
    }
    const fs::path child = place / "x";
    fs::create_directory(child);
    ASSERT_EQ(::mount("scratch", child.c_str(), "tmpfs", 0, nullptr), 0) << base::errno_text(errno);
    EXPECT_TRUE(std::holds_alternative<Present>(seen("data")));
    EXPECT_THAT(refused(), HasSubstr("`umount " + child.string() + "`"));
    ASSERT_EQ(::umount2(child.c_str(), UMOUNT_NOFOLLOW), 0);
    ASSERT_TRUE(bring_about("data", Mode::closed));
}

// What libvirt does for every guest: a copy of all mounts, turned into slaves.
TEST_P(MountOnKernel, ANamespaceThatFollowsIsReachedByUnmounting) {
    open_new("data");
    const Neighbour guest(
        [] { return ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_SLAVE | MS_REC, nullptr) == 0; });
    EXPECT_EQ(namespaces_with(device()).size(), 1U) << "it has a copy";
    const auto closed = bring_about("data", Mode::closed);
    ASSERT_TRUE(closed) << to_text(closed.error());
    EXPECT_TRUE(namespaces_with(device()).empty());
}

TEST_P(MountOnKernel, ANamespaceThatCutItselfOffIsNamedAndNotCalledClosed) {
    open_new("data");
    {
        const Neighbour stranger(
            [] { return ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0; });
        const auto held = bring_about("data", Mode::closed);
        ASSERT_FALSE(held);
        EXPECT_THAT(to_text(held.error()),
                    HasSubstr("the mount namespace of process " + std::to_string(stranger.pid())));
        EXPECT_TRUE(std::holds_alternative<Present>(seen("data")));
    }
    EXPECT_TRUE(bring_about("data", Mode::closed));
}

TEST_P(MountOnKernel, NamespacesThatWereThereBeforeDoNotSeeIt) {
    const Neighbour before(
        [] { return ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_SLAVE | MS_REC, nullptr) == 0; });
    open_new("vault");
    EXPECT_TRUE(namespaces_with(device()).empty());
}

TEST_P(MountOnKernel, FromANamespaceOfItsOwnItRefuses) {
    const model::Snapshot snapshot = driver->observe({{make_id(Kind::mount, "data")}}, {});
    if (::access("/proc/1/ns/mnt", R_OK) != 0) {
        // A container that hides process 1: it cannot be told, and that is said.
        EXPECT_THAT(snapshot.warnings, ::testing::Contains(HasSubstr("/proc/1/ns/mnt")));
        return;
    }
    ASSERT_EQ(snapshot.refusals.size(), 1U);
    EXPECT_EQ(snapshot.refusals[0].subject, "mount namespace");
}

INSTANTIATE_TEST_SUITE_P(Host, MountOnKernel, ::testing::Values(MS_SHARED, MS_PRIVATE),
                         [](const auto& one) { return one.param == MS_SHARED ? "shared" : "private"; });

}  // namespace
}  // namespace safe::filesystem
