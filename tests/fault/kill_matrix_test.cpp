// Killed before, inside and after every call of a driver, then applied again: the same world as if nothing had
// happened, and nothing left to do. Natively against a libvirtd of the test's own, without the firewall, whose kernel
// part cannot be had everywhere; in the appliance (SAFE_FAULT_SPEC names the spec) with everything.
// SAFE_FAULT_SHARE=k/n takes every n-th point from the k-th on, so that a short run covers another part each time.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "plugins/builtin.hpp"
#include "reconciler/applying/rounds.hpp"
#include "specs/loader.hpp"
#include "tests/fault/killing_driver.hpp"
#include "tests/support/libvirt/private_libvirtd.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::testing {
namespace {

namespace fs = std::filesystem;
using Durations = std::map<std::string, std::chrono::microseconds>;

/// Writes how long each step took, one a line, for the kills inside.
class Timekeeper final : public applying::Listener {
 public:
    explicit Timekeeper(const fs::path& file) : file_(file) {}
    void step_ended(const model::Step& step, const model::Outcome& /*outcome*/,
                    std::chrono::milliseconds took) override {
        file_ << step_name(step) << '\t' << took.count() << std::endl;
    }

 private:
    std::ofstream file_;
};

std::string output_of(const std::string& command) {
    std::string text;
    FILE* pipe = ::popen(command.c_str(), "r");
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
    ::pclose(pipe);
    return text;
}

class KillMatrix : public ::testing::Test {
 protected:
    void SetUp() override {
        // QEMU runs as another user and must reach its disks below this directory.
        fs::permissions(directory_.path(), fs::perms(0711));
        const char* given = std::getenv("SAFE_FAULT_SPEC");
        if (given == nullptr) {
            if (const auto why = test::PrivateLibvirtd::impossible()) GTEST_SKIP() << *why;
            libvirtd_.emplace(fs::path(SAFE_SOURCE_DIR) / "build" / "libvirt-cache");
        }
        const std::string file = given != nullptr ? given : write_spec();
        specs::Loaded loaded = specs::load_file(file);
        ASSERT_TRUE(loaded.spec.has_value())
            << file << ": " << (loaded.diagnostics.empty() ? "" : to_text(loaded.diagnostics[0]));
        spec_ = std::move(*loaded.spec);
        script_ = std::string(SAFE_SOURCE_DIR) + "/tests/fault/world";
        if (const char* script = std::getenv("SAFE_FAULT_WORLD")) script_ = script;
        forget();
    }
    void TearDown() override {
        if (!script_.empty()) forget();
    }

    /// Guests that find nothing to boot: for libvirt they run.
    std::string write_spec() const {
        for (const char* image : {"blank.img", "other.img"})
            std::ofstream(directory_.path() / image) << std::string(std::size_t{4} << 20, '\0');
        std::ofstream(directory_.path() / "desk.yaml") << "#cloud-config\n{}\n";
        const fs::path file = directory_.path() / "safe.yaml";
        std::ofstream(file) << R"(version: 1
safe: kill
suspend: ram
network: { bridge: br-kill, address: 10.99.0.1/24 }
vms:
  gate: { role: service, image: blank.img, disk: 8MiB, memory: 64MiB, cpus: 1, address: 10.99.0.2, cloud-init: {} }
  desk: { role: workspace, image: blank.img, memory: 64MiB, memory-max: 128MiB, cpus: 1, cpus-max: 2, address: 10.99.0.20, cloud-init: { user-data: desk.yaml } }
  wiki: { role: workspace, image: other.img, disk: 16MiB, memory: 64MiB, cpus: 1, address: 10.99.0.21 }
)";
        return file.string();
    }

    std::vector<std::unique_ptr<driver::Driver>> real_drivers() const {
        if (!libvirtd_) return plugins::make_drivers({spec_, driver::Places(*spec_.safe, state()), no_key_});
        return libvirt::make_drivers({.uri = test::PrivateLibvirtd::uri, .safe = *spec_.safe, .state_dir = state()});
    }

    fs::path state() const { return directory_.path() / "state"; }

    std::string world(const std::string& verb) const {
        return output_of(
            fmt::format("{} {} {} {} {}", script_, verb, *spec_.hypervisor, *spec_.safe, state().string()));
    }
    void forget() const { EXPECT_EQ(world("forget"), "") << "the world could not be emptied"; }

    /// Applies in a process of its own, which the point may kill. Returns waitpid's status.
    int apply_in_child(const std::optional<KillPoint>& point) const {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(apply(point));
        int status = 0;
        ::waitpid(child, &status, 0);
        return status;
    }

    /// 0: nothing left to do; 1: something is; 2: a step failed.
    int apply(const std::optional<KillPoint>& point) const {
        fs::create_directories(state());
        fs::permissions(state(), fs::perms(0711));
        std::vector<std::unique_ptr<driver::Driver>> drivers;
        for (auto& real : real_drivers()) drivers.push_back(std::make_unique<KillingDriver>(std::move(real), point));
        applying::DriverSet set(std::move(drivers));
        const applying::Goal goal{.spec = spec_, .mode = model::Mode::open};
        auto journal = applying::Journal::open(state() / "journal.jsonl");
        Timekeeper times(directory_.path() / "times");
        const applying::Execution execution{.drivers = set, .journal = *journal, .listener = times, .stop = {}};
        applying::Planned first = applying::look_and_plan(goal, set, {});
        const model::Report report = applying::apply(goal, std::move(first), execution, {});
        for (const model::Outcome& outcome : report.outcomes)
            if (outcome.error) fmt::print(stderr, "{}\n", to_text(*outcome.error));
        for (const model::Refusal& refusal : report.remaining.refusals)
            fmt::print(stderr, "{}\n", to_text(refusal.error));
        for (const model::Held& held : report.remaining.unknown) fmt::print(stderr, "{}\n", to_text(held.error));
        const bool clear =
            report.remaining.steps.empty() && report.remaining.unknown.empty() && report.remaining.refusals.empty();
        return clear ? 0 : report.outcomes.empty() ? 2 : 1;
    }

    Durations durations() const {
        Durations times;
        std::ifstream file(directory_.path() / "times");
        for (std::string line; std::getline(file, line);) {
            const std::size_t tab = line.find('\t');
            times[line.substr(0, tab)] = std::chrono::milliseconds(std::stol(line.substr(tab + 1)));
        }
        return times;
    }

    TemporaryDirectory directory_;
    std::optional<test::PrivateLibvirtd> libvirtd_;
    specs::SafeSpec spec_;
    driver::KeyRing no_key_;
    std::string script_;
};

std::vector<KillPoint> points_of(const Durations& durations) {
    std::vector<KillPoint> points;
    for (const auto& [step, took] : durations) {
        points.push_back({step, KillPoint::When::before});
        for (const int percent : {20, 50, 80}) points.push_back({step, KillPoint::When::inside, took * percent / 100});
        points.push_back({step, KillPoint::When::after});
    }
    return points;
}

/// "k/n" of the environment: the k-th of n interleaved shares.
std::pair<std::size_t, std::size_t> share() {
    const char* text = std::getenv("SAFE_FAULT_SHARE");
    std::size_t k = 0;
    std::size_t n = 1;
    if (text != nullptr && std::sscanf(text, "%zu/%zu", &k, &n) != 2) ADD_FAILURE() << "SAFE_FAULT_SHARE is k/n";
    return {k % n, n};
}

/// Those that can be had here.
std::vector<std::string> kinds() {
    std::vector<std::string> kinds{"network", "image", "disk", "vm", "power"};
    if (std::getenv("SAFE_FAULT_SPEC") != nullptr) kinds.emplace_back("ruleset");
    return kinds;
}

TEST_F(KillMatrix, KilledAnywhereThenAppliedItConverges) {
    ASSERT_EQ(apply_in_child(std::nullopt), 0) << "the apply that nobody kills";
    const std::string wanted = world("show");
    const Durations times = durations();
    ASSERT_GE(times.size(), 12U) << "the plan is too small to prove much";
    for (const std::string& kind : kinds())
        ASSERT_TRUE(std::ranges::any_of(
            times, [&](const auto& step) { return step.first.find(" " + kind + "/") != std::string::npos; }))
            << "no step of the kind " << kind;
    ASSERT_EQ(apply_in_child(std::nullopt), 0);
    ASSERT_TRUE(durations().empty()) << "a second apply must do nothing";

    const std::vector<KillPoint> points = points_of(times);
    const auto [first, stride] = share();
    std::size_t tried = 0;
    for (std::size_t i = first; i < points.size(); i += stride, ++tried) {
        const KillPoint& point = points[i];
        SCOPED_TRACE(
            fmt::format("killed at {} ({}, {} us in)", point.step, static_cast<int>(point.when), point.into.count()));
        fmt::print("point {} of {}: {}\n", i, points.size(), point.step);
        std::fflush(stdout);
        forget();
        const int killed = apply_in_child(point);
        ASSERT_TRUE(WIFSIGNALED(killed) && WTERMSIG(killed) == SIGKILL) << "the kill did not happen";
        ASSERT_EQ(apply_in_child(std::nullopt), 0) << "applied again after the kill";
        ASSERT_EQ(world("show"), wanted);
        ASSERT_EQ(apply_in_child(std::nullopt), 0);
        ASSERT_TRUE(durations().empty()) << "nothing may be left to do";
    }
    fmt::print("{} steps, {} of {} points\n", times.size(), tried, points.size());
}

}  // namespace
}  // namespace safe::testing
