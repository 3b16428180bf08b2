// A libvirt that has forgotten what runs is not believed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "plugins/libvirt/emulators.hpp"
#include "plugins/libvirt/libvirt_lib.hpp"
#include "plugins/libvirt/witnessed_api.hpp"
#include "specs/identity.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;

/// A /proc with processes of a test's choosing.
class Processes {
 public:
    Processes() {
        fs::create_directories(path() / "self" / "ns");
        fs::create_symlink("net:[1]", path() / "self" / "ns" / "net");
        fs::create_directory(path() / "driver");
    }
    void add(int number, const std::vector<std::string>& arguments, const std::string& network = "net:[1]") const {
        const fs::path process = path() / std::to_string(number);
        fs::create_directories(process / "ns");
        fs::create_symlink(network, process / "ns" / "net");
        std::ofstream file(process / "cmdline", std::ios::binary);
        for (const std::string& argument : arguments) file << argument << '\0';
    }
    [[nodiscard]] const fs::path& path() const { return directory_.path(); }

 private:
    testing::TemporaryDirectory directory_;
};

std::vector<std::string> guest(const std::string& safe, const std::string& vm) {
    return {"/usr/bin/qemu-system-x86_64", "-name", "guest=" + safe + "-" + vm + ",debug-threads=on", "-S", "-uuid",
            specs::uuid_of(safe, vm)};
}

TEST(Emulators, AreTheSafesOwnOnThisNetworkAndNoOthers) {
    const Processes processes;
    processes.add(10, guest("atlas", "desktop"));
    processes.add(11, guest("atlas", "forge"), "net:[2]");
    processes.add(12, guest("other", "desktop"));
    // Safe "atlas-b" has a VM "desktop": its name reads like VM "b-desktop" of safe "atlas".
    processes.add(13, guest("atlas-b", "desktop"));
    processes.add(14, {"sleep", "1000"});
    processes.add(15, {});
    processes.add(16, {"qemu-system-x86_64", "-name"});
    const auto found = emulators_of("atlas", processes.path());
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, (std::vector<Emulator>{{10, "desktop", specs::uuid_of("atlas", "desktop")}}));
    EXPECT_TRUE(still_runs(found->front(), processes.path()));
    fs::remove_all(processes.path() / "10");
    EXPECT_FALSE(still_runs(found->front(), processes.path()));
}

TEST(Emulators, ThatCannotBeListedAreAnErrorAndNotNone) { EXPECT_FALSE(emulators_of("atlas", "/nowhere").has_value()); }

TEST(KernelWitness, SeesWhatRunsAndAccusesNobodyWhoHasEndedSinceItLooked) {
    const std::string safe = fmt::format("witness-{}", ::getpid());
    FILE* guest = ::popen(fmt::format("exec sh -c 'read line' -name guest={}-desktop,debug-threads=on -uuid {}", safe,
                                      specs::uuid_of(safe, "desktop"))
                              .c_str(),
                          "w");
    ASSERT_NE(guest, nullptr);
    const auto there = [&] {
        const auto found = emulators_of(safe);
        return found && found->size() == 1;
    };
    for (int tries = 0; tries < 500 && !there(); ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const Witness witness = kernel_witness(safe);
    const auto api = witnessed(make_libvirt_api("test:///default"), witness);
    EXPECT_FALSE(api->domains(View::live, Which::all).has_value());
    ASSERT_EQ(witness.running()->size(), 1U);
    ::pclose(guest);
    const auto after = api->domains(View::live, Which::all);
    EXPECT_TRUE(after.has_value());
}

class Witnessed : public ::testing::Test {
 protected:
    /// libvirt's own test hypervisor, which knows one machine, "test", as running.
    std::shared_ptr<Api> api(std::vector<Emulator> running, bool still_there = true) const {
        return witnessed(real_, {.running = [running] { return running; },
                                 .still_runs = [still_there](const Emulator&) { return still_there; }});
    }
    static bool forgets(const std::shared_ptr<Api>& api) {
        const auto domains = api->domains(View::live, Which::all);
        const auto active = api->domains(View::live, Which::active);
        const auto networks = api->networks();
        const auto named = api->domain_named("absent", View::live);
        const auto with = api->domain_with(lost.uuid, View::definition);
        const bool first = !domains;
        for (const bool other : {!active, !networks, !named, !with}) EXPECT_EQ(other, first);
        if (first) {
            EXPECT_NE(to_text(domains.error()).find("process 77"), std::string::npos) << to_text(domains.error());
        }
        return first;
    }

    const std::shared_ptr<Api> real_ = make_libvirt_api("test:///default");
    static inline const Emulator lost{77, "desktop", "00000000-1111-2222-3333-444444444444"};
};

TEST_F(Witnessed, AGuestThatRunsAndIsNotKnownMakesEveryAbsenceAnError) { EXPECT_TRUE(forgets(api({lost}))); }

TEST_F(Witnessed, OneThatEndedMeanwhileOrNoneAtAllDoesNot) {
    EXPECT_FALSE(forgets(api({lost}, false)));
    EXPECT_FALSE(forgets(api({})));
}

TEST_F(Witnessed, WhatIsKnownAsRunningIsInOrderAndAsStoppedIsNot) {
    const auto domain = real_->domain_named("test", View::live);
    ASSERT_TRUE(domain && *domain && (*domain)->active);
    const Emulator known{77, "test", (*domain)->uuid};
    EXPECT_FALSE(forgets(api({known})));
    ASSERT_TRUE(real_->cut_power(known.uuid));
    EXPECT_TRUE(forgets(api({known})));
    EXPECT_FALSE(api({known})->domain_named("test", View::live).has_value());
    ASSERT_TRUE(real_->start(known.uuid));
}

TEST_F(Witnessed, WithoutTheKernelsWordNothingIsTakenForAbsent) {
    const auto blind = witnessed(
        real_,
        {.running = []() -> base::Result<std::vector<Emulator>> {
             return base::fail(
                 {.attempt = "list", .object = "/proc", .cause = "process 77 cannot be looked at", .advice = ""});
         },
         .still_runs = [](const Emulator&) { return true; }});
    EXPECT_TRUE(forgets(blind));
}

}  // namespace
}  // namespace safe::libvirt
