#include "reconciler/verify/kernel_settings.hpp"

#include <algorithm>
#include <array>

#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view command_line_file = "/proc/cmdline";
constexpr std::string_view parameter = "init_on_free";

/// kstrtobool() of the kernel: what it takes for yes, and for no.
bool means(std::string_view value, std::string_view letters, std::string_view word) {
    if (value.starts_with('o') || value.starts_with('O')) {
        std::string start(value.substr(0, word.size()));
        std::ranges::transform(start, start.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
        return start == word;
    }
    return !value.empty() && letters.find(value.front()) != std::string_view::npos;
}

}  // namespace

std::optional<std::string> boot_parameter(std::string_view command_line, std::string_view name) {
    std::optional<std::string> value;
    for (const std::string_view word : words_of(command_line)) {
        if (word == "--") break;  // what follows is for the first process
        if (word.starts_with(name) && word.substr(name.size()).starts_with('=')) value = word.substr(name.size() + 1);
    }
    return value;
}

Seen<std::string> kernel_configuration(const System& system) {
    const std::string packed = "/proc/config.gz";
    const Seen<FileFacts> facts = system.status(packed);
    if (!facts) return base::fail(facts.error());
    if (facts.there()) {
        const base::Result<base::Finished> unpacked = system.run({"zcat", packed});
        if (unpacked && unpacked->status == 0) return unpacked->output;
        return base::fail(
            {.attempt = "unpack", .object = packed, .cause = unpacked ? unpacked->errors : unpacked.error().cause});
    }
    const Seen<std::string> release = system.read_line("/proc/sys/kernel/osrelease");
    if (!release) return base::fail(release.error());
    if (!release.there()) return std::nullopt;
    return system.read("/boot/config-" + release.value());
}

base::Result<WipesFreedMemory> wipes_freed_memory(const System& system) {
    const Seen<std::string> line = system.read_line(command_line_file);
    if (!line) return base::fail(line.error());
    if (!line.there())
        return base::fail({.attempt = "look at",
                           .object = std::string(command_line_file),
                           .cause = "it is not there",
                           .advice = "mount procfs on /proc"});
    WipesFreedMemory answer{.yes = false, .looked_at = std::string(command_line_file), .because = {}};
    const std::optional<std::string> value = boot_parameter(line.value(), parameter);
    // A value that the kernel does not understand changes nothing.
    if (value && (means(*value, "1yY", "on") || means(*value, "0nNfF", "of"))) {
        answer.yes = means(*value, "1yY", "on");
        answer.because = std::string(parameter) + "=" + *value;
        return answer;
    }
    const Seen<std::string> configuration = kernel_configuration(system);
    if (!configuration) return base::fail(configuration.error());
    answer.looked_at += " and the kernel's configuration";
    const std::vector<std::string_view> lines =
        configuration.there() ? lines_of(configuration.value()) : std::vector<std::string_view>();
    answer.yes = std::ranges::find(lines, "CONFIG_INIT_ON_FREE_DEFAULT_ON=y") != lines.end();
    answer.because = answer.yes ? "CONFIG_INIT_ON_FREE_DEFAULT_ON=y" : "init_on_free=1 is missing";
    return answer;
}

}  // namespace safe::verify
