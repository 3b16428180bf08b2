// Guests: the processes that run this safe's virtual machines. A guest that sleeps on disk has none; one that sleeps in
// RAM has one whose processors stand still. For hypervisors other than QEMU on this machine, virsh is asked.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"
#include "specs/identity.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;
using base::Result;

/// Long enough that the clock tick of an idle guest costs its thread processor time that the kernel counts.
constexpr std::chrono::milliseconds watch{500};

/// "atlas-desktop" of "-name guest=atlas-desktop,debug-threads=on"; empty for anything that is no guest.
std::string guest_name(const Process& process) {
    const auto option = std::ranges::find(process.arguments, "-name");
    if (option == process.arguments.end() || option + 1 == process.arguments.end()) return "";
    constexpr std::string_view guest = "guest=";
    const std::string name = option[1].substr(0, option[1].find(','));
    if (name.starts_with(guest)) return name.substr(guest.size());
    // find(1) has an option of that name too.
    const bool emulator = process.name.starts_with("qemu") || process.name.starts_with("kvm");
    return emulator ? name : "";
}

bool has_uuid(const Process& process, const std::string& uuid) {
    const auto option = std::ranges::find(process.arguments, "-uuid");
    return option != process.arguments.end() && option + 1 != process.arguments.end() && option[1] == uuid;
}

/// Ticks of the clock that the guest's processors have used, by thread.
Result<std::map<std::string, std::uint64_t>> processor_time(const System& system, const Process& process) {
    const fs::path tasks = folder_of(process) / "task";
    const Seen<std::vector<std::string>> threads = system.list(tasks);
    if (!threads) return base::fail(threads.error());
    std::map<std::string, std::uint64_t> times;
    for (const std::string& thread : threads.value_or(std::vector<std::string>())) {
        const Seen<std::string> name = system.read_line(tasks / thread / "comm");
        const Seen<std::string> stat = system.read_line(tasks / thread / "stat");
        if (!name || !stat) return base::fail(name ? stat.error() : name.error());
        if (!name.there() || !stat.there() || !name.value().starts_with("CPU ")) continue;
        // The name in brackets may hold anything; the numbers follow the last bracket (proc_pid_stat(5)).
        const std::vector<std::string_view> words =
            words_of(std::string_view(stat.value()).substr(stat.value().rfind(')') + 1));
        constexpr std::size_t user_time = 11;
        if (words.size() <= user_time + 1) continue;
        times[thread] = number_of(words[user_time]).value_or(0) + number_of(words[user_time + 1]).value_or(0);
    }
    return times;
}

class GuestJudge {
 public:
    GuestJudge(const Scene& scene, Lines& lines) : scene_(scene), lines_(lines) {}

    void judge(const specs::VmSpec& vm) {
        const bool runs = scene_.open() || *vm.role == specs::Role::service;
        const std::vector<const Process*> processes = processes_of(vm);
        if (processes.empty()) {
            if (runs)
                lines_.fault(everywhere_, vm.name + " does not run", "safectl apply");
            else
                ++asleep_;
            return;
        }
        if (runs) return judge_state(vm, *processes.front(), runs);
        // Each of them: anybody can give a process that name, and a false one must not stand before the true one.
        for (const Process* process : processes)
            if (scene_.spec.suspend && **scene_.spec.suspend == specs::Suspend::disk)
                lines_.fault(folder_of(*process).string(), fmt::format("{} is there: {}", vm.name, to_text(*process)),
                             "its memory is to be saved in the vault: safectl apply");
            else
                judge_state(vm, *process, runs);
    }

    void judge_forgotten() {
        const std::string prefix = *scene_.spec.safe + "-";
        for (const Process& process : *scene_.processes) {
            const std::string name = guest_name(process);
            if (!name.starts_with(prefix) || scene_.spec.vm(name.substr(prefix.size())) != nullptr) continue;
            lines_.fault(folder_of(process).string(),
                         fmt::format("{}, which the file does not declare, is there: {}", name, to_text(process)),
                         "virsh suspend or destroy " + name);
        }
    }

    [[nodiscard]] std::size_t asleep() const { return asleep_; }

 private:
    [[nodiscard]] std::vector<const Process*> processes_of(const specs::VmSpec& vm) const {
        const std::string name = *scene_.spec.safe + "-" + vm.name;
        const std::string uuid = specs::uuid_of(*scene_.spec.safe, vm.name);
        std::vector<const Process*> found;
        for (const Process& process : *scene_.processes)
            if (guest_name(process) == name || has_uuid(process, uuid)) found.push_back(&process);
        return found;
    }

    /// Two witnesses: what virsh says, and whether its processors use time.
    void judge_state(const specs::VmSpec& vm, const Process& process, bool runs) {
        const auto before = processor_time(scene_.system, process);
        const std::string name = *scene_.spec.safe + "-" + vm.name;
        const std::vector<std::string> command{"virsh", "-c", *scene_.spec.hypervisor, "domstate", name};
        const Result<base::Finished> answer = scene_.system.run(command);
        const std::string where = fmt::format("virsh domstate {}", name);
        if (!answer || answer->status != 0)
            return lines_.unknown(where, {.attempt = "ask for the state of",
                                          .object = name,
                                          .cause = answer ? answer->errors : answer.error().cause,
                                          .advice = "look whether libvirtd runs"});
        const std::string state(answer->output.substr(0, answer->output.find('\n')));
        if (runs) {
            if (state == "running" || state == "idle") return lines_.ok(where, fmt::format("{} runs", vm.name));
            return lines_.fault(where, fmt::format("{} is {}", vm.name, state), "safectl apply");
        }
        std::this_thread::sleep_for(watch);
        const auto after = processor_time(scene_.system, process);
        const std::string threads = (folder_of(process) / "task/*/stat").string();
        if (!before || !after) return lines_.unknown(threads, before ? after.error() : before.error());
        if (before->empty())
            return lines_.unknown(threads, {.attempt = "find the processors of",
                                            .object = to_text(process),
                                            .cause = "none of its threads is called CPU",
                                            .advice = "look who made it, and end it if it is not libvirt's"});
        if (*before != *after)
            lines_.fault(threads, fmt::format("the processors of {} work", vm.name), "virsh suspend " + name);
        else if (state != "paused")
            lines_.fault(where, fmt::format("{} is {}", vm.name, state), "virsh suspend " + name);
        else
            lines_.ok(threads, fmt::format("{} sleeps in RAM, its processors stand still", vm.name));
    }

    const Scene& scene_;
    Lines& lines_;
    std::size_t asleep_ = 0;
    std::string everywhere_ = "/proc/*/cmdline";
};

/// Elsewhere than in processes of this machine.
void ask_virsh(const Scene& scene, Lines& lines) {
    const std::vector<std::string> command{"virsh", "-c", *scene.spec.hypervisor, "list", "--name", "--state-running"};
    const std::string where = fmt::format("virsh -c {} list --state-running", *scene.spec.hypervisor);
    const Result<base::Finished> answer = scene.system.run(command);
    if (!answer || answer->status != 0)
        return lines.unknown(where, {.attempt = "list the guests of",
                                     .object = *scene.spec.hypervisor,
                                     .cause = answer ? answer->errors : answer.error().cause,
                                     .advice = "look whether libvirtd runs"});
    const std::vector<std::string_view> running = lines_of(answer->output);
    for (const specs::VmSpec& vm : scene.spec.vms) {
        const bool wanted = scene.open() || *vm.role == specs::Role::service;
        const bool there = std::ranges::find(running, *scene.spec.safe + "-" + vm.name) != running.end();
        if (wanted == there)
            lines.ok(where, fmt::format("{} {}", vm.name, there ? "runs" : "does not run"));
        else
            lines.fault(where, fmt::format("{} {}", vm.name, there ? "runs" : "does not run"), "safectl apply");
    }
}

}  // namespace

std::vector<Finding> check_guests(const Scene& scene) {
    Lines lines("guests");
    if (!scene.spec.hypervisor->starts_with("qemu")) {
        ask_virsh(scene, lines);
        return lines.take();
    }
    if (!scene.processes) {
        lines.unknown("/proc/*/cmdline", scene.processes.error());
        return lines.take();
    }
    GuestJudge judge(scene, lines);
    for (const specs::VmSpec& vm : scene.spec.vms) judge.judge(vm);
    if (!scene.open()) judge.judge_forgotten();
    if (lines.clean() && !scene.open())
        lines.ok("/proc/*/cmdline", fmt::format("{} workspace VMs have no process", judge.asleep()));
    return lines.take();
}

}  // namespace safe::verify
