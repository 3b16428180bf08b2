// suspend: disk, with a tmpfs for the vault: guests that count on, files that are cut short, broken or of yesterday,
// and what a kill at each point leaves behind.
#include <fmt/format.h>
#include <sys/wait.h>

#include "tests/system/libvirt/suspend_fixture.hpp"

namespace safe::test {
namespace {

TEST_F(SuspendToDisk, AGuestCountsOnAfterItsMemoryLayInTheVault) {
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    const model::Plan closing = look(spec(), Mode::closed);
    ASSERT_EQ(steps(closing), "remove power/desk suspend\n");
    EXPECT_EQ(closing.steps[0].summary, "to disk, in the vault");
    reach(spec(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    EXPECT_EQ(fs::status(memory("desk.save")).permissions(), fs::perms(0600));
    EXPECT_EQ(fs::status(vault() / "memory").permissions(), fs::perms(0700));
    const model::Plan opening = look(spec(), Mode::open);
    ASSERT_EQ(steps(opening), "add power/desk restore\n");
    EXPECT_TRUE(opening.steps[0].summary.starts_with("from memory saved 20")) << opening.steps[0].summary;
    goes_on();
}

TEST_F(SuspendToDisk, KilledBetweenSavingAndNamingTheMemoryIsUsed) {
    open_and_close();
    fs::rename(memory("desk.save"), memory("desk.save.new"));
    fs::remove(memory("desk.save.json"));
    EXPECT_EQ(steps(look(spec(), Mode::closed)), "");
    goes_on();
}

TEST_F(SuspendToDisk, KilledBetweenMarkingAndSavingItIsSavedByTheNextClose) {
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    libvirtd_->virsh({"suspend", "t-desk"});
    for (const char* where : {"--live", "--config"})
        libvirtd_->virsh({"metadata", "t-desk", "--uri", "urn:digital-safe:suspended:1", "--key", "suspended", "--set",
                          "<suspended in='disk'/>", where});
    EXPECT_EQ(steps(look(spec(), Mode::closed)), "remove power/desk suspend\n") << "it is not asleep yet";
    reach(spec(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    goes_on();
}

TEST_F(SuspendToDisk, KilledAtEachPointOfWakingItCountsOnAndOldMemoryIsSpent) {
    for (const bool renamed : {false, true})
        for (const bool closes : {false, true}) {
            SCOPED_TRACE(renamed ? "after the rename" : "before the rename");
            reach(spec(), Mode::open);
            const auto before = more_numbers();
            reach(spec(), Mode::closed);
            libvirtd_->virsh({"restore", "--paused", memory("desk.save").string()});
            if (renamed) fs::rename(memory("desk.save"), memory("desk.save.used"));
            if (closes) {
                EXPECT_EQ(steps(look(spec(), Mode::closed)), "remove power/desk suspend\n");
                reach(spec(), Mode::closed);
                EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
                EXPECT_FALSE(fs::exists(memory("desk.save.used")));
            }
            goes_on();
        }
}

TEST_F(SuspendToDisk, APowerCutAfterWakingIsAColdBootAndSaysSo) {
    open_and_close();
    fs::copy_file(memory("desk.save"), memory("kept"));
    reach(spec(), Mode::open);
    fs::rename(memory("kept"), memory("desk.save.used"));  // killed before it was removed
    libvirtd_->virsh({"destroy", "t-desk"});
    const model::Plan opening = look(spec(), Mode::open);
    ASSERT_EQ(steps(opening), "add power/desk start\n");
    EXPECT_NE(opening.steps[0].summary.find("power was cut"), std::string::npos);
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 2);
    EXPECT_TRUE(fs::is_empty(vault() / "memory"));
}

TEST_F(SuspendToDisk, SomebodyWhoStartsASavedGuestByHandSpendsItsMemory) {
    open_and_close();
    libvirtd_->virsh({"start", "t-desk"});
    EXPECT_EQ(steps(look(spec(), Mode::open)), "change power/desk resume state\n");
    reach(spec(), Mode::open);
    EXPECT_TRUE(fs::is_empty(vault() / "memory"));
    EXPECT_EQ(boots(more_numbers()), 2);
    libvirtd_->virsh({"destroy", "t-desk"});
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 3) << "never from the memory of before";
}

TEST_F(SuspendToDisk, AMissingStateIsAnErrorAndDiscardingItDecides) {
    open_and_close();
    fs::remove(memory("desk.save"));
    stays_out("no whole state");
    const specs::SafeSpec safe = with_vault(load(saving));
    specs::SafeSpec here = safe;
    here.hypervisor.value = PrivateLibvirtd::uri;
    const base::Result<std::string> done = libvirt::discard_state(setting(here), "desk");
    ASSERT_TRUE(done) << to_text(done.error());
    EXPECT_TRUE(libvirt::discard_state(setting(here), "desk")) << "twice";
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 2);
    EXPECT_FALSE(libvirt::discard_state(setting(here), "desk")) << "it runs";
    EXPECT_FALSE(libvirt::discard_state(setting(here), "nobody"));
}

TEST_F(SuspendToDisk, ACorruptStateIsAnErrorWhereverItIsBroken) {
    open_and_close();
    const auto size = fs::file_size(memory("desk.save"));
    fs::copy_file(memory("desk.save"), memory("kept"));
    const auto put_back = [&] {
        fs::copy_file(memory("kept"), memory("desk.save"), fs::copy_options::overwrite_existing);
    };
    {
        std::fstream file(memory("desk.save"), std::ios::in | std::ios::out | std::ios::binary);
        file << "LibvirtQemudPart";  // what a save that was cut short begins with
    }
    stays_out("incomplete");
    put_back();
    fs::resize_file(memory("desk.save"), size / 2);
    stays_out("discard-state");
    put_back();
    fs::resize_file(memory("desk.save"), 5);
    stays_out("discard-state");
    put_back();
    fs::remove(memory("kept"));
    goes_on();
}

TEST_F(SuspendToDisk, ASaveCutShortByAPowerCutIsNotTakenForAWholeOne) {
    open_and_close();
    fs::rename(memory("desk.save"), memory("desk.save.new"));
    fs::remove(memory("desk.save.json"));
    {
        std::fstream file(memory("desk.save.new"), std::ios::in | std::ios::out | std::ios::binary);
        file << "LibvirtQemudPart";
    }
    stays_out("no whole state");
}

TEST_F(SuspendToDisk, MemoryOfAnotherMachineIsNotRestoredInItsPlace) {
    const std::string two = std::string(saving) +
                            "  wiki: { role: workspace, boot: { kernel: kernel }, memory: 32MiB, cpus: 1, address: "
                            "10.99.0.21 }\n";
    reach(spec(two), Mode::open);
    reach(spec(two), Mode::closed);
    fs::rename(memory("wiki.save"), memory("desk.save"));
    const std::string said = failures(go(spec(two), Mode::open));
    EXPECT_NE(said.find("holds another machine"), std::string::npos) << said;
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running; t-wiki shut off");
}

TEST_F(SuspendToDisk, AGuestThatCannotSleepIsCutOffWhenTheTimeIsOverAndNeverBefore) {
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    std::ofstream(vault() / "fills") << std::string(300U << 20U, 'x') << std::flush;  // as much as there is room for
    const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
    EXPECT_NE(failures(go(spec(), Mode::closed, drivers_of(spec()), {.asleep_by = later})), "");
    EXPECT_EQ(domains(), "t-desk paused; t-gate running") << "a person may still make room";
    const driver::Insistence now{.asleep_by = std::chrono::steady_clock::now()};
    EXPECT_EQ(failures(go(spec(), Mode::closed, drivers_of(spec()), now)), "");
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    fs::remove(vault() / "fills");
    const model::Plan opening = look(spec(), Mode::open);
    ASSERT_EQ(steps(opening), "add power/desk start\n");
    EXPECT_NE(opening.steps[0].summary.find("its power was cut"), std::string::npos) << opening.steps[0].summary;
    reach(spec(), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 2);
    open_again_sleeps(spec());
}

TEST_F(SuspendToDisk, WhatWasRestoredAndHasNotRunSinceLosesNothingWhenItIsCutOff) {
    open_and_close();
    libvirtd_->virsh({"restore", "--paused", memory("desk.save").string()});  // killed before it was renamed
    EXPECT_EQ(failures(close_at_once(spec())), "");
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    EXPECT_EQ(steps(look(spec(), Mode::open)), "add power/desk restore\n");
    goes_on();
}

TEST_F(SuspendToDisk, WhatHasRunPastItsSavedMemoryLosesBothWhenItIsCutOff) {
    for (const bool paused : {false, true}) {
        SCOPED_TRACE(paused ? "paused, its saved memory renamed" : "started by hand");
        reach(spec(), Mode::open);
        const auto before = boots(more_numbers());
        reach(spec(), Mode::closed);
        if (paused) {
            libvirtd_->virsh({"restore", "--paused", memory("desk.save").string()});
            fs::rename(memory("desk.save"), memory("desk.save.used"));
        } else {
            libvirtd_->virsh({"start", "t-desk"});
            static_cast<void>(more_numbers());
        }
        EXPECT_EQ(failures(close_at_once(spec())), "");
        EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
        EXPECT_TRUE(fs::is_empty(vault() / "memory"));
        const model::Plan opening = look(spec(), Mode::open);
        ASSERT_EQ(steps(opening), "add power/desk start\n");
        EXPECT_NE(opening.steps[0].summary.find("did not sleep"), std::string::npos) << opening.steps[0].summary;
        reach(spec(), Mode::open);
        EXPECT_EQ(boots(more_numbers()), before + (paused ? 1 : 2));
    }
}

TEST_F(SuspendToDisk, ASaveThatTakesTooLongIsBrokenOff) {
    const std::string heavy = heavy_spec();
    reach(spec(heavy), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    // Storage that answers again after three seconds: patience would have been rewarded.
    writer_->wait_once(std::chrono::seconds(3));
    const driver::Insistence soon{.asleep_by = std::chrono::steady_clock::now() + std::chrono::seconds(1)};
    EXPECT_EQ(failures(go(spec(heavy), Mode::closed, drivers_of(spec(heavy)), soon)), "");
    EXPECT_TRUE(writer_->was_met());
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    EXPECT_FALSE(fs::exists(memory("desk.save")));
    reach(spec(heavy), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 2);
    open_again_sleeps(spec(heavy));
}

TEST_F(SuspendToDisk, OpenedWhileItIsStillBeingSavedForARunThatWasKilledItCountsOn) {
    const std::string heavy = heavy_spec();
    reach(spec(heavy), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    writer_->wait_once(std::chrono::seconds(2));
    const pid_t child = ::fork();
    if (child == 0) {
        static_cast<void>(go(spec(heavy), Mode::closed));
        ::_exit(0);
    }
    for (int tries = 0; tries < 400 && !writer_->was_met(); ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(25));
    ASSERT_TRUE(writer_->was_met());
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    // It is off when the save has ended: that may be said, and then the next run wakes it.
    static_cast<void>(go(spec(heavy), Mode::open));
    reach(spec(heavy), Mode::open);
    const std::vector<std::uint32_t> all = more_numbers();
    EXPECT_EQ(boots(all), 1) << "it booted: its memory is lost";
    EXPECT_TRUE(std::ranges::is_sorted(all)) << "it went back in time";
}

TEST_F(SuspendToDisk, WithoutTheVaultNothingIsWrittenInClear) {
    reach(spec(), Mode::open);
    ASSERT_EQ(::umount2(vault().c_str(), MNT_DETACH), 0);
    const std::string said = failures(go(spec(), Mode::closed));
    EXPECT_NE(said.find("the vault is not mounted there"), std::string::npos) << said;
    EXPECT_EQ(domains(), "t-desk running; t-gate running");
    EXPECT_TRUE(fs::is_empty(vault())) << "the hypervisor's own disk";
}

TEST_F(SuspendToDisk, ClosedWithoutTheVaultPlansNothingAndSaysSinceWhen) {
    open_and_close();
    ASSERT_EQ(::umount2(vault().c_str(), MNT_DETACH), 0);
    EXPECT_EQ(steps(look(spec(), Mode::closed)), "");
    const model::Plan opening = look(spec(), Mode::open);
    ASSERT_EQ(steps(opening), "add power/desk restore\n");
    EXPECT_TRUE(opening.steps[0].summary.starts_with("from memory saved 20"));
}

TEST_F(SuspendToDisk, TooLittleSpaceIsSaidBeforeAnythingStarts) {
    ASSERT_EQ(::mount("tmpfs", vault().c_str(), "tmpfs", MS_REMOUNT, "size=20m"), 0);
    const std::string said = failures(go(spec(), Mode::open));
    EXPECT_NE(said.find("saving the memory of all workspace VMs may take 32 MiB"), std::string::npos) << said;
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
}

TEST_F(SuspendToDisk, ASpecChangedWhileItWasSavedWaitsForItsRestart) {
    open_and_close();
    std::string text = saving;
    text.replace(text.find("quiet"), 5, "loud");
    reach(spec(text), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1) << "it was restarted";
    const model::Plan after = look(spec(text), Mode::open);
    EXPECT_TRUE(std::ranges::any_of(after.notes, [](const std::string& note) {
        return note.find("power/desk runs as it was saved") != std::string::npos;
    }));
    libvirtd_->virsh({"destroy", "t-desk"});
    reach(spec(text), Mode::open);
    EXPECT_NE(libvirtd_->virsh({"dumpxml", "t-desk"}).find("<cmdline>loud</cmdline>"), std::string::npos);
}

/// desk with these words in its spec.
std::string desk_with(const std::string& cmdline, const std::string& size) {
    std::string text = saving;
    text.replace(text.find("quiet"), 5, cmdline);
    const std::string_view before = "memory: 32MiB, cpus: 1, address: 10.99.0.20";
    return text.replace(text.find(before), before.size(), size + ", address: 10.99.0.20");
}

TEST_F(SuspendToDisk, WhatRunsAsItWasSavedIsGivenWhatCanBeGivenAndTheRestWaits) {
    const std::string before = desk_with("quiet", "memory: 32MiB, memory-max: 64MiB, cpus: 1, cpus-max: 3");
    reach(spec(before), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    reach(spec(before), Mode::closed);
    // While it is saved: another command line, and a CPU.
    reach(spec(desk_with("loud", "memory: 32MiB, memory-max: 64MiB, cpus: 2, cpus-max: 3")), Mode::open);
    EXPECT_EQ(libvirtd_->virsh({"vcpucount", "t-desk", "--live", "--current"}), "2");
    // While it runs: memory, a CPU, and more that waits.
    const std::string after = desk_with("louder", "memory: 48MiB, memory-max: 96MiB, cpus: 3, cpus-max: 4");
    EXPECT_EQ(steps(look(spec(after), Mode::open)),
              "change vm/desk redefine boot.cmdline cpus cpus-max memory memory-max\n"
              "change power/desk adjust cpus memory\n");
    reach(spec(after), Mode::open);
    EXPECT_EQ(libvirtd_->virsh({"vcpucount", "t-desk", "--live", "--current"}), "3");
    EXPECT_NE(libvirtd_->virsh({"dumpxml", "t-desk"}).find(fmt::format("memory=\"{}\"", 48U << 20U)),
              std::string::npos);
    // More than it was started with, and less than it can be told to give back.
    const std::string most = desk_with("louder", "memory: 96MiB, memory-max: 96MiB, cpus: 1, cpus-max: 4");
    EXPECT_EQ(steps(look(spec(most), Mode::open)), "change vm/desk redefine cpus memory\n");
    reach(spec(most), Mode::open);
    libvirtd_->virsh({"suspend", "t-desk"});
    EXPECT_EQ(steps(look(spec(most), Mode::open)), "change power/desk resume state\n");
    reach(spec(most), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1) << "it was restarted";
    // With the spec changed once more it sleeps in the same run.
    EXPECT_EQ(failures(go(spec(before), Mode::closed)), "");
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    reach(spec(before), Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    libvirtd_->virsh({"destroy", "t-desk"});
    reach(spec(most), Mode::open);
    EXPECT_EQ(libvirtd_->virsh({"vcpucount", "t-desk", "--live", "--maximum"}), "4");
}

TEST_F(SuspendToDisk, DiskAndRamMayBeSwitchedWhileItSleeps) {
    open_and_close();
    const specs::SafeSpec ram = with_vault(load(saving), specs::Suspend::ram);
    EXPECT_EQ(steps(look(ram, Mode::closed)), "");
    reach(ram, Mode::open);
    EXPECT_EQ(boots(more_numbers()), 1);
    reach(ram, Mode::closed);
    EXPECT_EQ(domains(), "t-desk paused; t-gate running");
    const model::Plan switched = look(spec(), Mode::closed);
    EXPECT_EQ(steps(switched), "");
    EXPECT_TRUE(std::ranges::any_of(switched.notes, [](const std::string& note) {
        return note.find("takes effect at the next close") != std::string::npos;
    }));
    reach(spec(), Mode::open);
    reach(spec(), Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    goes_on();
}

TEST_F(SuspendToDisk, AWorkspaceThatLeftTheFileIsSavedToo) {
    reach(spec(), Mode::open);
    std::string without = saving;
    without.erase(without.find("  desk:"));
    reach(spec(without), Mode::closed);
    EXPECT_EQ(domains(), "t-desk shut off; t-gate running");
    EXPECT_TRUE(fs::exists(memory("desk.save")));
    goes_on();
}

}  // namespace
}  // namespace safe::test
