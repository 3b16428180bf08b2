// Ports: what guests send and get crosses the safe's bridge, for only there does its firewall judge it. A port that was
// moved to another bridge, or to none, goes past every rule.
#include <fmt/format.h>

#include "reconciler/verify/scene.hpp"
#include "specs/identity.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;

class PortJudge {
 public:
    PortJudge(const Scene& scene, const std::string& bridge, Lines& lines)
        : scene_(scene), bridge_(bridge), lines_(lines) {}

    void judge(const specs::VmSpec& vm) {
        const fs::path port = fs::path("/sys/class/net") / specs::tap_of(*scene_.spec.safe, vm.name);
        const Seen<FileFacts> there = scene_.system.status(port);
        if (!there) return lines_.unknown(port.string(), there.error());
        if (!there.there()) {
            // A sleeping guest has none. That one which should run does not is told among guests.
            if (scene_.open() || *vm.role == specs::Role::service)
                fault(port,
                      fmt::format("{} has no port of that name: what it sends is not judged as its own", vm.name));
            return;
        }
        const Seen<std::string> master = scene_.system.link(port / "master");
        if (!master) return lines_.unknown((port / "master").string(), master.error());
        const std::string bridge = fs::path(master.value_or("")).filename().string();
        if (bridge == bridge_)
            ++judged_;
        else
            fault(port / "master", fmt::format("what {} sends and gets goes past the firewall: its port belongs to {}",
                                               vm.name, bridge.empty() ? "no bridge" : bridge));
    }

    [[nodiscard]] std::size_t judged() const { return judged_; }

 private:
    void fault(const fs::path& where, std::string found) {
        lines_.fault(where.string(), std::move(found), fmt::format("ip link set its port master {}", bridge_));
    }

    const Scene& scene_;
    const std::string& bridge_;
    Lines& lines_;
    std::size_t judged_ = 0;
};

}  // namespace

std::vector<Finding> check_ports(const Scene& scene) {
    Lines lines("ports");
    // Guests of another hypervisor than this machine's QEMU have no ports here.
    if (!scene.spec.network || !scene.spec.hypervisor->starts_with("qemu")) return lines.take();
    PortJudge judge(scene, *scene.spec.network->bridge, lines);
    for (const specs::VmSpec& vm : scene.spec.vms)
        if (vm.address) judge.judge(vm);
    if (lines.clean())
        lines.ok("/sys/class/net/*/master",
                 fmt::format("{} ports of VMs, each on {}", judge.judged(), *scene.spec.network->bridge));
    return lines.take();
}

}  // namespace safe::verify
