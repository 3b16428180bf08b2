#include "reconciler/verify/processes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reconciler/verify/text.hpp"

namespace safe::verify {

namespace fs = std::filesystem;

std::string to_text(const Process& process) { return fmt::format("process {} ({})", process.id, process.name); }

std::string to_text(const std::vector<Process>& processes) {
    constexpr std::size_t most_named = 3;
    std::string text;
    for (std::size_t i = 0; i < std::min(processes.size(), most_named); ++i)
        text += (i == 0 ? "" : ", ") + to_text(processes[i]);
    if (processes.size() > most_named) text += fmt::format(" and {} more", processes.size() - most_named);
    return text;
}

base::Result<std::vector<Process>> read_processes(const System& system) {
    const Seen<std::vector<std::string>> names = system.list("/proc");
    if (!names) return base::fail(names.error());
    std::vector<Process> processes;
    for (const std::string& name : names.value_or(std::vector<std::string>())) {
        const auto id = number_of(name);
        if (!id) continue;
        const fs::path folder = fs::path("/proc") / name;
        const Seen<std::string> title = system.read_line(folder / "comm");
        if (!title) return base::fail(title.error());
        const Seen<std::string> command = system.read(folder / "cmdline");
        if (!command) return base::fail(command.error());
        if (!title.there()) continue;  // it has ended meanwhile
        Process process{.id = static_cast<int>(*id), .name = title.value(), .arguments = {}};
        std::string_view rest = command.there() ? std::string_view(command.value()) : "";
        while (rest.ends_with('\0')) rest.remove_suffix(1);
        if (!rest.empty())
            for (const std::string_view argument : parts_of(rest, '\0')) process.arguments.emplace_back(argument);
        processes.push_back(std::move(process));
    }
    if (processes.empty())
        return base::fail({.attempt = "look at",
                           .object = "/proc",
                           .cause = "no process is in it, not even this one",
                           .advice = "mount procfs on /proc, without hidepid"});
    std::ranges::sort(processes, {}, &Process::id);
    return processes;
}

fs::path folder_of(const Process& process) { return fs::path("/proc") / std::to_string(process.id); }

}  // namespace safe::verify
