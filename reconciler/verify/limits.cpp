// What even a proved state does not protect against. Short, and only what holds here and now.
#include <fmt/format.h>

#include <algorithm>

#include "reconciler/verify/kernel_settings.hpp"
#include "reconciler/verify/scene.hpp"

namespace safe::verify {
namespace {

bool found_fault(const std::vector<Finding>& findings, std::string_view subject) {
    return std::ranges::any_of(
        findings, [&](const Finding& finding) { return finding.subject == subject && finding.verdict != Verdict::ok; });
}

bool has_workspace(const specs::SafeSpec& spec) {
    return std::ranges::any_of(spec.vms, [](const specs::VmSpec& vm) { return *vm.role == specs::Role::workspace; });
}

/// "none" of "[none] integrity confidentiality".
std::string lockdown(const System& system) {
    const Seen<std::string> line = system.read_line("/sys/kernel/security/lockdown");
    if (!line.there()) return "not there";
    const std::size_t begin = line.value().find('[');
    const std::size_t end = line.value().find(']');
    return begin == std::string::npos || end < begin ? line.value() : line.value().substr(begin + 1, end - begin - 1);
}

void add_open(const Scene& scene, std::vector<std::string>& limits) {
    limits.emplace_back(
        "root on the hypervisor: while the safe is open it can read the volumes, the guests' memory and the keys "
        "(kernel lockdown: " +
        lockdown(scene.system) + ")");
    limits.emplace_back("a VM or a client that somebody took over: it leaks what it can read, though never a key");
}

void add_asleep(const Scene& scene, const std::vector<Finding>& findings, std::vector<std::string>& limits) {
    const specs::SafeSpec& spec = scene.spec;
    if (spec.suspend && **spec.suspend == specs::Suspend::ram && has_workspace(spec))
        limits.emplace_back(
            "whoever reads this machine's RAM: with suspend: ram the memory of sleeping guests is there in the clear");
    for (const specs::VolumeSpec& volume : spec.volumes)
        if (stays_open(spec, volume))
            limits.push_back(
                fmt::format("root on the hypervisor, for volume {}: with suspend: ram it stays open, its key in memory",
                            volume.name));
    if (found_fault(findings, "memory"))
        limits.emplace_back(
            "whoever reads this machine's RAM: freed memory is not known to be wiped, so a passphrase and contents of "
            "files "
            "may still be there; boot with init_on_free=1");
    if (found_fault(findings, "swap"))
        limits.emplace_back("whoever takes the disk: memory may have been swapped to it in the clear");
    limits.emplace_back(
        "whoever has a member's password, or an old copy of the header and one, besides the ciphertext: they open it "
        "elsewhere");
    limits.emplace_back("what was copied out while the safe was open");
}

}  // namespace

std::vector<std::string> limits_of(const Scene& scene, const std::vector<Finding>& findings) {
    std::vector<std::string> limits;
    if (scene.open())
        add_open(scene, limits);
    else
        add_asleep(scene, findings, limits);
    if (scene.spec.volumes.empty() && has_workspace(scene.spec))
        limits.emplace_back(
            "whoever reads this machine's disk: this safe declares no volumes, its workspace disks lie in the clear");
    if (std::ranges::any_of(scene.spec.vms, [](const specs::VmSpec& vm) { return *vm.role == specs::Role::service; }))
        limits.emplace_back(
            "whoever reads this machine's disk, for service VMs: their disks lie in the clear and they run in every "
            "mode");
    if (!scene.spec.vms.empty())
        limits.push_back(fmt::format("what guests print on their consoles: it lies in the clear in {}",
                                     (scene.places.state_dir() / "logs").string()));
    limits.emplace_back("a kernel, firmware or processor that lies, and whatever began after this look");
    return limits;
}

}  // namespace safe::verify
