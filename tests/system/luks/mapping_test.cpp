// Opening and closing: through the driver with the fake, and, where the kernel has device-mapper, with the kernel's.
// Passwords that are wrong, memory that runs out, keys that are gone, and a password that must appear nowhere.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/helper_protocol.hpp"
#include "tests/support/luks/kernel_mapper.hpp"
#include "tests/support/luks/vault_world.hpp"
#include "tests/support/sanitizers.hpp"

namespace safe::test {
namespace {

using model::Action;

class MappingTest : public ::testing::Test {
 protected:
    void SetUp() override { world.format_vault(); }
    VaultWorld world;
    const model::ResourceId mapping = VaultWorld::mapping_id;
    const model::ResourceId data_mapping{model::Kind::mapping, "data"};

    std::string why_not_opened(const model::ResourceId& id) {
        const auto opened = world.apply(id, Action::add);
        EXPECT_FALSE(opened);
        return opened ? "" : to_text(opened.error());
    }
    template <class T>
    bool sees() {
        return std::holds_alternative<T>(world.observe(mapping));
    }
};

TEST_F(MappingTest, AWrongPasswordAndSomebodyWithoutAKeyslotAreToldApart) {
    world.give_key("alice", "guess");
    EXPECT_NE(why_not_opened(mapping).find("wrong password, or not alice's"), std::string::npos);
    world.give_key("bob", bobs_password);
    EXPECT_NE(why_not_opened(mapping).find("safectl user enrol bob"), std::string::npos);
    world.keys.clear();
    EXPECT_NE(why_not_opened(mapping).find("nobody has given a key"), std::string::npos);
    EXPECT_TRUE(sees<model::Absent>());
    auto& driver = world.driver_of(model::Kind::mapping);
    EXPECT_EQ(driver.classify(Action::add, world.desired(mapping), model::Absent{}, {}).waits_for, "a key");
}

TEST_F(MappingTest, AMissingDataKeyIsNamedAndAnotherKeyOpensNothing) {
    ASSERT_TRUE(world.apply(mapping, Action::add));
    ASSERT_TRUE(world.apply(VaultWorld::data_id, Action::add));
    const auto file = world.places().volume_key("vault", "data");
    std::filesystem::rename(file, file.string() + ".away");
    const std::string why = why_not_opened(data_mapping);
    EXPECT_NE(why.find("is gone from the vault"), std::string::npos) << why;
    std::ofstream(file) << std::string(64, 'x');
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    EXPECT_NE(why_not_opened(data_mapping).find("its key from the vault does not open it"), std::string::npos);
    std::filesystem::rename(file.string() + ".away", file);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    EXPECT_NE(why_not_opened(data_mapping).find("others than its owner"), std::string::npos);
}

/// With so little address space for the helper, for the length of its life.
class LittleMemory {
 public:
    explicit LittleMemory(rlim_t bytes) {
        ::getrlimit(RLIMIT_AS, &before_);
        const rlimit little{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_AS, &little);
    }
    LittleMemory(const LittleMemory&) = delete;
    LittleMemory& operator=(const LittleMemory&) = delete;
    LittleMemory(LittleMemory&&) = delete;
    LittleMemory& operator=(LittleMemory&&) = delete;
    ~LittleMemory() { ::setrlimit(RLIMIT_AS, &before_); }

 private:
    rlimit before_{};
};

TEST_F(MappingTest, OutOfMemoryIsNotAWrongPassword) {
    if (testing::under_a_sanitizer) GTEST_SKIP() << "a sanitizer needs more address space than any limit leaves";
    // The password's own derivation, made dearer on purpose.
    luks::Header dear = world.header().look().header.value();
    luks::VaultToken token = luks::vault_token(dear).value();
    token.cost.memory = 2048 * luks::mebibyte;
    dear.metadata["tokens"][luks::tokens_of(dear, "safe-vault").front()] = luks::to_json(token);
    world.forge("vault", dear);
    ASSERT_TRUE(world.header().store().announce(luks::record_of(dear, std::nullopt)));
    ASSERT_TRUE(world.header().store().commit());
    const luks::Taken taken = world.header().take().value();
    const auto ground = luks::Ground{world.setting(), world.api};
    const luks::Unlock unlock = ground.unlock(world.spec.volumes[0], taken.header).value();
    const LittleMemory little(rlim_t{900} * luks::mebibyte);
    const auto opened = world.api->try_key(taken.image, unlock);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, luks::Failure::Code::out_of_memory) << to_text(opened.error().error);
    EXPECT_NE(to_text(luks::explain(opened.error(), "mapping/vault", "alice")).find("out of memory"),
              std::string::npos);
    EXPECT_EQ(to_text(luks::explain(opened.error(), "mapping/vault", "alice")).find("wrong password"),
              std::string::npos);
}

TEST_F(MappingTest, OutOfMemoryForTheKeyslotsOwnDerivationToo) {
    if (testing::under_a_sanitizer) GTEST_SKIP() << "a sanitizer needs more address space than any limit leaves";
    luks::Header dear = world.header().look().header.value();
    luks::Json& kdf = dear.metadata["keyslots"]["0"]["kdf"];
    kdf = {{"type", "argon2id"}, {"time", 4}, {"memory", 2 * 1024 * 1024}, {"cpus", 1}, {"salt", kdf["salt"]}};
    world.forge("vault", dear);
    ASSERT_TRUE(world.header().store().announce(luks::record_of(dear, std::nullopt)));
    ASSERT_TRUE(world.header().store().commit());
    const luks::Taken taken = world.header().take().value();
    const luks::Unlock unlock =
        luks::Ground{world.setting(), world.api}.unlock(world.spec.volumes[0], taken.header).value();
    const LittleMemory little(rlim_t{900} * luks::mebibyte);
    const auto opened = world.api->try_key(taken.image, unlock);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, luks::Failure::Code::out_of_memory) << to_text(opened.error().error);
}

/// Everything that anybody else could read of a process.
std::string readable_of(pid_t pid) {
    std::string all;
    for (const char* name : {"cmdline", "environ"}) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
        std::stringstream content;
        content << file.rdbuf();
        all += content.str();
    }
    return all;
}

TEST_F(MappingTest, ThePasswordIsInNoArgumentNoEnvironmentAndNoMessage) {
    constexpr std::string_view canary = "canary-7f3a-never-to-be-seen";
    world.give_key("alice", canary);
    // A dearer derivation, so that there is time to look.
    luks::Header dear = world.header().look().header.value();
    luks::VaultToken token = luks::vault_token(dear).value();
    token.cost = {.memory = 256 * luks::mebibyte, .passes = 4};
    dear.metadata["tokens"][luks::tokens_of(dear, "safe-vault").front()] = luks::to_json(token);
    world.forge("vault", dear);
    ASSERT_TRUE(world.header().store().announce(luks::record_of(dear, std::nullopt)));
    ASSERT_TRUE(world.header().store().commit());

    std::string seen;
    std::string limits;
    bool memory_locked = false;
    std::string dumpable_owner;
    std::atomic<bool> done = false;
    std::jthread watcher([&] {
        while (!done) {
            for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
                std::ifstream children(task.path() / "children");
                for (pid_t child = 0; children >> child;) {
                    seen += readable_of(child);
                    std::ifstream status("/proc/" + std::to_string(child) + "/status");
                    for (std::string line; std::getline(status, line);) {
                        std::istringstream words(line);
                        std::string name;
                        long kib = 0;
                        if (words >> name >> kib && name == "VmLck:" && kib > 100 * 1024) {
                            memory_locked = true;
                            std::ifstream file("/proc/" + std::to_string(child) + "/limits");
                            std::stringstream content;
                            content << file.rdbuf();
                            limits = content.str();
                        }
                    }
                }
            }
            std::this_thread::yield();
        }
    });
    const auto opened = world.apply(mapping, Action::add);
    done = true;
    watcher.join();
    ASSERT_FALSE(opened);
    EXPECT_EQ(to_text(opened.error()).find(canary), std::string::npos);
    EXPECT_NE(seen.find("safe-key-helper"), std::string::npos) << "the look must be known to work";
    EXPECT_EQ(seen.find(canary), std::string::npos);
    if (!testing::under_a_sanitizer) {  // its shadow of the memory is more than may be locked
        EXPECT_TRUE(memory_locked) << "the helper's memory, with the key in it, is never swapped";
        EXPECT_NE(limits.find("Max core file size        0                    0"), std::string::npos) << limits;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(world.folder.path())) {
        if (!entry.is_regular_file() || entry.path().extension() == ".img") continue;
        std::ifstream file(entry.path(), std::ios::binary);
        std::stringstream content;
        content << file.rdbuf();
        EXPECT_EQ(content.str().find(canary), std::string::npos) << entry.path();
    }
    EXPECT_EQ(world.content("vault").find(canary), std::string::npos);
}

TEST_F(MappingTest, TheHelperDiesWithWhoeverStartedIt) {
    std::array<int, 2> report{};
    ASSERT_EQ(::pipe2(report.data(), O_CLOEXEC), 0);
    // A process that starts a helper and is killed while the helper waits for its request.
    const pid_t parent = ::fork();
    ASSERT_GE(parent, 0);
    if (parent == 0) {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) ::_exit(1);
        const pid_t helper = ::fork();
        if (helper == 0) {
            ::dup2(ends[1], luks::socket_descriptor);
            // Our end stays open in the helper, so that no end of file tells it anything.
            const std::string program = key_helper();
            ::execl(program.c_str(), "safe-key-helper", nullptr);
            ::_exit(1);
        }
        ::usleep(300000);
        static_cast<void>(::write(report[1], &helper, sizeof helper));
        ::pause();
        ::_exit(0);
    }
    pid_t helper = 0;
    ASSERT_EQ(::read(report[0], &helper, sizeof helper), static_cast<ssize_t>(sizeof helper));
    ASSERT_EQ(::kill(helper, 0), 0) << "it waits";
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    bool gone = false;
    for (int i = 0; i < 100 && !gone; ++i) {
        // Gone, or a zombie that nobody has collected yet.
        std::ifstream status("/proc/" + std::to_string(helper) + "/stat");
        std::string all;
        std::getline(status, all);
        gone = all.empty() || all.find(") Z") != std::string::npos;
        if (!gone) ::usleep(50000);
    }
    EXPECT_TRUE(gone);
    ::close(report[0]);
    ::close(report[1]);
}

TEST_F(MappingTest, ItClosesAndWhatHoldsItIsNamed) {
    ASSERT_TRUE(world.apply(mapping, Action::add));
    ASSERT_TRUE(sees<model::Present>());
    world.mapper->open.at("safe-atlas-vault").holders = {"dm-7"};
    const auto held = world.apply(mapping, Action::remove);
    ASSERT_FALSE(held);
    EXPECT_NE(to_text(held.error()).find("dm-7"), std::string::npos);
    const model::Step step{.resource = mapping,
                           .action = Action::remove,
                           .verb = "close",
                           .summary = "",
                           .changes = {},
                           .labels = {},
                           .requires_done = {}};
    const auto forced = world.driver_of(model::Kind::mapping)
                            .apply(step, {.id = mapping}, world.observe(mapping), {.insistence = {.force = true}});
    ASSERT_FALSE(forced) << "it is there still";
    EXPECT_NE(to_text(forced.error()).find("its key is wiped"), std::string::npos);
    EXPECT_NE(*model::get<std::string>(std::get<model::Present>(world.observe(mapping)).attributes, "state"), "active");
    world.mapper->open.at("safe-atlas-vault").holders.clear();
    ASSERT_TRUE(world.apply(mapping, Action::remove));
    EXPECT_TRUE(sees<model::Absent>());
    EXPECT_FALSE(std::filesystem::exists(world.folder.path() / "run/atlas/provisioning/vault"));
    EXPECT_TRUE(world.apply(mapping, Action::remove)) << "twice is once";
}

TEST_F(MappingTest, AnotherContainerUnderOurNameIsReopenedAndAForeignDeviceLeftAlone) {
    ASSERT_TRUE(world.apply(mapping, Action::add));
    luks::Mapping& open = world.mapper->open.at("safe-atlas-vault");
    const std::string ours = open.uuid;
    open.uuid = "CRYPT-LUKS2-" + std::string(32, 'a') + "-safe-atlas-vault";
    const auto seen = std::get<model::Present>(world.observe(mapping));
    EXPECT_NE(*model::get<std::string>(seen.attributes, "container"), "its own");
    open.uuid = "LVM-something";
    EXPECT_TRUE(sees<model::Foreign>());
    open.uuid = ours;
    open.suspended = true;
    EXPECT_EQ(*model::get<std::string>(std::get<model::Present>(world.observe(mapping)).attributes, "state"),
              "suspended");
    world.mapper->able = false;
    EXPECT_TRUE(sees<model::Unknown>()) << "never absent";
}

TEST_F(MappingTest, ItCarriesItsAttributesInEveryModeAndStaysUnderPausedGuests) {
    for (const model::Mode mode : {model::Mode::closed, model::Mode::locked}) {
        EXPECT_EQ(world.desired(mapping, mode).presence, model::Presence::absent);
        EXPECT_EQ(world.desired(mapping, mode).attributes, world.desired(mapping, model::Mode::open).attributes);
        EXPECT_EQ(world.desired(mapping, mode).needs, world.desired(mapping, model::Mode::open).needs);
    }
    world.spec.volumes[1].role = {specs::VolumeRole::disks};
    world.spec.suspend = specs::Located<specs::Suspend>{specs::Suspend::ram};
    EXPECT_EQ(world.desired(data_mapping, model::Mode::closed).presence, model::Presence::absent) << "no guest's disk";
    specs::VmSpec desktop;
    desktop.name = "desktop";
    desktop.role = {specs::Role::workspace};
    desktop.image = specs::Located<specs::FilePath>{{"desktop.qcow2", "/desktop.qcow2"}};
    world.spec.vms = {desktop};
    EXPECT_EQ(world.desired(data_mapping, model::Mode::closed).presence, model::Presence::present);
    EXPECT_EQ(world.desired(mapping, model::Mode::closed).presence, model::Presence::absent);
    world.spec.suspend->value = specs::Suspend::disk;
    EXPECT_EQ(world.desired(data_mapping, model::Mode::closed).presence, model::Presence::absent);
}

TEST_F(MappingTest, WhatLeftTheFileIsFoundByItsRecordAndAnotherSafesIsNot) {
    ASSERT_TRUE(world.apply(mapping, Action::add));
    world.mapper->open["safe-atlas-x-vault"] = {.name = "safe-atlas-x-vault",
                                                .uuid = "CRYPT-LUKS2-" + std::string(32, 'b') + "-safe-atlas-x-vault",
                                                .device = "253:9"};
    world.spec.volumes.clear();
    world.renew();
    auto& driver = world.driver_of(model::Kind::mapping);
    const auto snapshot = driver.observe({}, {});
    ASSERT_TRUE(snapshot.observations.contains(mapping));
    EXPECT_EQ(snapshot.observations.size(), 1U) << "safe atlas-x has a volume vault, and no business of ours";
    const auto& seen = std::get<model::Present>(snapshot.observations.at(mapping));
    EXPECT_EQ(driver.orphan(mapping, seen, model::Mode::closed), model::Presence::absent);
    EXPECT_EQ(driver.orphan(mapping, seen, model::Mode::open), model::Presence::present);
}

TEST_F(MappingTest, WhatLeftTheFileIsUnknownWhileItsRecordCannotBeRead) {
    ASSERT_TRUE(world.apply(mapping, Action::add));
    world.spec.volumes.clear();
    world.renew();
    const std::filesystem::path record = world.setting().places.headers("vault") / "record.json";
    ASSERT_TRUE(std::filesystem::exists(record));
    std::ofstream(record) << "{";
    const auto snapshot = world.driver_of(model::Kind::mapping).observe({}, {});
    ASSERT_TRUE(snapshot.observations.contains(mapping));
    EXPECT_TRUE(std::holds_alternative<model::Unknown>(snapshot.observations.at(mapping)));
}

}  // namespace
}  // namespace safe::test
