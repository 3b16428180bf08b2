// A safe with a vault (a tmpfs stands for it) and a guest that counts: what suspend: disk does to it, seen from
// outside.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <random>
#include <thread>

#include "tests/system/libvirt/counting_kernel.hpp"
#include "tests/system/libvirt/libvirt_fixture.hpp"

namespace safe::test {

inline constexpr const char* saving = R"(version: 1
safe: t
suspend: ram
network: { bridge: br-t, address: 10.99.0.1/24 }
vms:
  gate: { role: service, image: disk.img, disk: 8MiB, memory: 64MiB, cpus: 1, address: 10.99.0.2 }
  desk: { role: workspace, boot: { kernel: kernel, cmdline: quiet }, memory: 32MiB, cpus: 1, address: 10.99.0.20 }
)";

/// Stands in the place of the program through which libvirtd writes a guest's memory, and lets one of them wait before
/// it takes the first byte: as storage that does not answer. From then on QEMU lets a save be broken off; once it has
/// measured how fast the rest would go, it no longer does.
class SlowWriter {
 public:
    /// To be made before libvirtd takes its own copy of the mounts.
    explicit SlowWriter(const fs::path& home) : time_(home / "writer.waits"), met_(home / "writer.was-met") {
        const fs::path writer = home / "writer";
        fs::copy_file(installed, writer);
        const fs::path script = home / "writer.sh";
        std::ofstream(script) << "#!/bin/sh\nif [ -e " << time_ << " ]; then mv " << time_ << ' ' << met_
                              << "; sleep \"$(cat " << met_ << ")\"; fi\nexec " << writer << " \"$@\"\n";
        fs::permissions(script, fs::perms(0755));
        if (::mount(script.c_str(), installed, nullptr, MS_BIND, nullptr) != 0)
            throw std::runtime_error("bind over " + std::string(installed) + ": " + base::errno_text(errno));
    }
    SlowWriter(const SlowWriter&) = delete;
    SlowWriter& operator=(const SlowWriter&) = delete;
    SlowWriter(SlowWriter&&) = delete;
    SlowWriter& operator=(SlowWriter&&) = delete;
    ~SlowWriter() { ::umount2(installed, MNT_DETACH); }

    /// The next one does.
    void wait_once(std::chrono::seconds time) const { std::ofstream(time_) << time.count() << '\n'; }
    [[nodiscard]] bool was_met() const { return fs::exists(met_); }

 private:
    static constexpr const char* installed = "/usr/lib/libvirt/libvirt_iohelper";
    const fs::path time_;
    const fs::path met_;
};

class SuspendToDisk : public LibvirtTest {
 protected:
    void SetUp() override {
        if (PrivateLibvirtd::impossible()) GTEST_SKIP() << *PrivateLibvirtd::impossible();
        // Before libvirtd takes its own copy of the mounts: what the test unmounts later is gone for safectl alone.
        ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
        ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        fs::create_directories(vault());
        ASSERT_EQ(::mount("tmpfs", vault().c_str(), "tmpfs", 0, "mode=0755,size=300m"), 0);
        writer_.emplace(home_.path());
        LibvirtTest::SetUp();
        for (const fs::path& part : {home_.path() / "srv", home_.path() / "srv" / "t"})
            fs::permissions(part, fs::perms(0711));
        write("kernel", counting_kernel());
    }
    void TearDown() override { ::umount2(vault().c_str(), MNT_DETACH); }

    [[nodiscard]] fs::path vault() const { return home_.path() / "srv" / "t" / "vault"; }
    [[nodiscard]] fs::path memory(const std::string& file) const { return vault() / "memory" / file; }

    static specs::SafeSpec with_vault(specs::SafeSpec spec, specs::Suspend suspend = specs::Suspend::disk) {
        specs::VolumeSpec vault;
        vault.name = "vault";
        vault.role.value = specs::VolumeRole::vault;
        if (spec.vault() == nullptr) spec.volumes.push_back(vault);
        spec.suspend->value = suspend;
        return spec;
    }

    [[nodiscard]] specs::SafeSpec spec(const std::string& text = saving) const { return with_vault(load(text)); }

    /// With a guest whose memory does not fit into a pipe.
    [[nodiscard]] std::string heavy_spec() const {
        std::string heavy = saving;
        heavy.replace(heavy.find("kernel: kernel"), std::string_view("kernel: kernel").size(),
                      "kernel: kernel, initrd: initrd");
        std::string ballast(8U << 20U, '\0');
        std::ranges::generate(ballast, std::minstd_rand());
        write("initrd", ballast);
        return heavy;
    }

    [[nodiscard]] driver::Setting setting(const specs::SafeSpec& spec) const {
        return {spec, driver::Places("t", state(), home_.path() / "run", home_.path() / "srv"), keys_};
    }

    [[nodiscard]] std::vector<std::unique_ptr<driver::Driver>> drivers_of(const specs::SafeSpec& spec) const {
        libvirt::Options options = libvirt::options_of(setting(spec));
        options.uri = PrivateLibvirtd::uri;
        options.grace = std::chrono::milliseconds(500);
        return libvirt::make_drivers(options);
    }

    [[nodiscard]] model::Plan look(const specs::SafeSpec& spec, Mode mode) const {
        applying::DriverSet set(drivers_of(spec));
        return look_and_plan({.spec = spec, .mode = mode}, set, {}).plan;
    }

    [[nodiscard]] model::Report go(const specs::SafeSpec& spec, Mode mode) const {
        return go(spec, mode, drivers_of(spec));
    }
    [[nodiscard]] model::Report go(const specs::SafeSpec& spec, Mode mode,
                                   std::vector<std::unique_ptr<driver::Driver>> drivers,
                                   const driver::Insistence& insistence = {}) const {
        applying::DriverSet set(std::move(drivers));
        const applying::Goal goal{.spec = spec, .mode = mode};
        base::Result<applying::Journal> journal = applying::Journal::open(home_.path() / "journal");
        applying::Listener silent;
        return applying::apply(goal, look_and_plan(goal, set, {}), {set, *journal, silent, {}, insistence}, {});
    }

    /// When the time that guests have to fall asleep is over already.
    [[nodiscard]] model::Report close_at_once(const specs::SafeSpec& spec) const {
        return go(spec, Mode::closed, drivers_of(spec), {.asleep_by = std::chrono::steady_clock::now()});
    }

    void reach(const specs::SafeSpec& spec, Mode mode) const {
        const model::Report report = go(spec, mode);
        EXPECT_EQ(failures(report), "");
        EXPECT_EQ(steps(look(spec, mode)), "");
    }

    [[nodiscard]] std::vector<std::uint32_t> numbers() const { return counted(state() / "logs" / "desk.log"); }

    /// Waits for a number that the guest has not written yet, and returns all.
    [[nodiscard]] std::vector<std::uint32_t> more_numbers() const {
        const std::size_t before = numbers().size();
        for (int tries = 0; tries < 200 && numbers().size() < before + 2; ++tries)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (numbers().size() < before + 2) throw std::runtime_error("the guest does not count");
        return numbers();
    }

    /// How often it has begun to count.
    [[nodiscard]] static std::ptrdiff_t boots(const std::vector<std::uint32_t>& all) {
        return std::ranges::count(all, 1U);
    }

    void open_and_close() const {
        reach(spec(), Mode::open);
        EXPECT_EQ(boots(more_numbers()), 1);
        reach(spec(), Mode::closed);
        EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
        ASSERT_TRUE(fs::exists(memory("desk.save")));
    }

    void goes_on() const {
        reach(spec(), Mode::open);
        EXPECT_EQ(domains(), "t-desk running; t-gate running");
        const std::vector<std::uint32_t> all = more_numbers();
        EXPECT_EQ(boots(all), 1) << "it booted: its memory is lost";
        EXPECT_TRUE(std::ranges::is_sorted(all)) << "it went back in time";
        EXPECT_TRUE(fs::is_empty(vault() / "memory")) << "what was used is gone";
    }

    /// What had its power cut sleeps and wakes like any other afterwards.
    void open_again_sleeps(const specs::SafeSpec& safe) const {
        const auto before = boots(numbers());
        reach(safe, Mode::closed);
        reach(safe, Mode::open);
        EXPECT_EQ(boots(more_numbers()), before);
    }

    /// The safe opens without it, and says what a person can do.
    void stays_out(const std::string& why) const {
        const std::string said = failures(go(spec(), Mode::open));
        EXPECT_NE(said.find(why), std::string::npos) << said;
        EXPECT_NE(said.find("safectl discard-state desk"), std::string::npos) << said;
        EXPECT_EQ(domains(), "t-desk shut off; t-gate running") << "never a silent boot";
    }

    driver::KeyRing keys_;
    std::optional<SlowWriter> writer_;
};

}  // namespace safe::test
