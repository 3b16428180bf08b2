// A hypervisor of the test's own, a safe on it, and the two things an operator does: plan and apply. Every call is what
// a new run of safectl is: new drivers, a new connection. Tests look at the world with virsh, never through the
// drivers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "plugins/libvirt/libvirt_driver.hpp"
#include "reconciler/applying/rounds.hpp"
#include "specs/identity.hpp"
#include "specs/loader.hpp"
#include "tests/support/libvirt/private_libvirtd.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::test {

namespace fs = std::filesystem;
using model::Mode;

class LibvirtTest : public ::testing::Test {
 protected:
    void SetUp() override {
        if (const auto why = PrivateLibvirtd::impossible()) GTEST_SKIP() << *why;
        libvirtd_.emplace(fs::path(SAFE_SOURCE_DIR) / "build" / "libvirt-cache");
        fs::permissions(home_.path(), fs::perms::owner_all | fs::perms::others_exec);  // QEMU runs as another user
        write("disk.img", std::string(std::size_t{1} << 20, '\0'));
        write("kernel", halting_kernel());
        write("initrd", "nothing");
    }

    void write(const std::string& name, const std::string& content) const {
        std::ofstream(home_.path() / name, std::ios::binary) << content;
    }

    /// The smallest thing that QEMU boots: a Multiboot kernel that halts (Multiboot Specification 0.6.96, section 3.1).
    static std::string halting_kernel() {
        constexpr std::uint32_t load = 0x100000;
        constexpr std::uint32_t size = 64;
        constexpr std::uint32_t magic = 0x1BADB002;
        constexpr std::uint32_t flags = 0x10000;  // the addresses below are valid
        const std::array<std::uint32_t, 8> header{magic, flags,       0U - magic - flags, load,
                                                  load,  load + size, load + size,        load + 32};
        std::string kernel;
        for (const std::uint32_t word : header)
            for (unsigned shift = 0; shift < 32; shift += 8) kernel += static_cast<char>(word >> shift & 0xFFU);
        kernel += "\xFA\xF4\xEB\xFD";  // cli; again: hlt; jmp again
        kernel.resize(size, '\0');
        return kernel;
    }

    /// A safe with a service VM on a disk and a workspace VM on a kernel, with words replaced.
    static std::string two_vms(const std::vector<std::pair<std::string, std::string>>& replaced = {}) {
        std::string text = R"(version: 1
safe: t
suspend: ram
network: { bridge: br-t, address: 10.99.0.1/24 }
vms:
  gate: { role: service, image: disk.img, disk: 8MiB, memory: 64MiB, memory-max: 128MiB, cpus: 1, cpus-max: 2, address: 10.99.0.2 }
  desk: { role: workspace, boot: { kernel: kernel, initrd: initrd, cmdline: quiet }, memory: 64MiB, cpus: 1, address: 10.99.0.20 }
)";
        for (const auto& [from, to] : replaced) {
            const std::size_t at = text.find(from);
            if (at == std::string::npos) throw std::invalid_argument("nothing to replace: " + from);
            text.replace(at, from.size(), to);
        }
        return text;
    }

    [[nodiscard]] specs::SafeSpec load(const std::string& text) const {
        specs::Loaded loaded = specs::load_text(text, (home_.path() / "safe.yaml").string());
        std::string faults;
        for (const specs::Diagnostic& diagnostic : loaded.diagnostics) faults += to_text(diagnostic) + "\n";
        if (!loaded.spec) throw std::invalid_argument(faults);
        return std::move(*loaded.spec);
    }

    [[nodiscard]] applying::DriverSet drivers() const {
        return applying::DriverSet(libvirt::make_drivers(
            {.uri = PrivateLibvirtd::uri, .safe = "t", .state_dir = state(), .grace = std::chrono::milliseconds(500)}));
    }

    [[nodiscard]] model::Plan plan(const std::string& text, Mode mode) const {
        const specs::SafeSpec spec = load(text);
        applying::DriverSet set = drivers();
        return look_and_plan({.spec = spec, .mode = mode}, set, {}).plan;
    }

    [[nodiscard]] model::Report apply(const std::string& text, Mode mode) const {
        const specs::SafeSpec spec = load(text);
        applying::DriverSet set = drivers();
        const applying::Goal goal{.spec = spec, .mode = mode};
        base::Result<applying::Journal> journal = applying::Journal::open(home_.path() / "journal");
        if (!journal) throw std::runtime_error(to_text(journal.error()));
        applying::Listener silent;
        return applying::apply(goal, look_and_plan(goal, set, {}), {set, *journal, silent, {}}, {});
    }

    /// Applies, and expects that nothing failed and nothing is left to do.
    void converge(const std::string& text, Mode mode) const {
        const model::Report report = apply(text, mode);
        EXPECT_EQ(failures(report), "");
        EXPECT_EQ(steps(report.remaining), "");
        EXPECT_EQ(steps(plan(text, mode)), "");
    }

    static std::string failures(const model::Report& report) {
        std::string text;
        for (const model::Outcome& outcome : report.outcomes)
            if (outcome.error) text += to_text(outcome.resource) + " " + to_text(*outcome.error) + "\n";
        for (const model::Refusal& refusal : report.remaining.refusals)
            text += refusal.subject + " refused: " + to_text(refusal.error) + "\n";
        return text;
    }

    /// "change power/gate restart" for each step, and everything that could not be seen; a line each.
    static std::string steps(const model::Plan& plan) {
        std::ostringstream text;
        for (const model::Step& step : plan.steps) {
            text << to_text(step.action) << ' ' << to_text(step.resource) << ' ' << step.verb;
            if (step.action == model::Action::change)
                for (const model::Change& change : step.changes) text << ' ' << model::to_text(change.path);
            text << '\n';
        }
        for (const model::Held& held : plan.unknown) text << "unknown " << to_text(held.resource) << '\n';
        for (const model::Held& held : plan.blocked) text << "blocked " << to_text(held.resource) << '\n';
        for (const model::Refusal& refusal : plan.refusals) text << "refused " << refusal.subject << '\n';
        return text.str();
    }

    /// The state of every domain there is, by name: "t-desk paused; t-gate running".
    [[nodiscard]] std::string domains() const {
        std::istringstream names(libvirtd_->virsh({"list", "--all", "--name"}));
        std::set<std::string> sorted;
        for (std::string name; std::getline(names, name);)
            if (!name.empty()) sorted.insert(name);
        std::string text;
        for (const std::string& name : sorted)
            text += (text.empty() ? "" : "; ") + name + " " + libvirtd_->virsh({"domstate", name});
        return text;
    }

    [[nodiscard]] fs::path state() const { return home_.path() / "state"; }

    std::optional<PrivateLibvirtd> libvirtd_;
    testing::TemporaryDirectory home_;
};

}  // namespace safe::test
