#include "reconciler/verify/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "reconciler/verify/kernel_settings.hpp"
#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

using base::Error;

/// What of a safe needs what: a host without volumes needs no dm_crypt.
struct Needs {
    bool volumes = true;
    bool iscsi = true;
    bool exports = true;
    bool network = true;
    std::string hypervisor = "qemu:///system";
};

Needs needs_of(const specs::SafeSpec* spec) {
    if (spec == nullptr) return {};
    return {.volumes = !spec->volumes.empty(),
            .iscsi = std::ranges::any_of(spec->volumes, [](const auto& volume) { return volume.iscsi.has_value(); }),
            .exports = std::ranges::any_of(spec->vms, [](const auto& vm) { return !vm.mounts.empty(); }),
            .network = spec->network.has_value(),
            .hypervisor = *spec->hypervisor};
}

/// The number after "MemAvailable:" and the like, in bytes.
std::optional<std::uint64_t> memory_field(std::string_view meminfo, std::string_view field) {
    for (const std::string_view line : lines_of(meminfo)) {
        const std::vector<std::string_view> words = words_of(line);
        if (words.size() >= 2 && words[0] == field)
            if (const auto kibibytes = number_of(words[1])) return *kibibytes * 1024;
    }
    return std::nullopt;
}

class Examination {
 public:
    Examination(const System& system, const specs::SafeSpec* spec)
        : system_(system), spec_(spec), needs_(needs_of(spec)) {}

    Report run() {
        rights();
        kernel();
        append(check_memory(system_));
        append(check_swap(system_, BlockDevices::read(system_)));
        processor();
        emulator();
        hypervisor();
        tools();
        clock();
        memory();
        return {.safe = spec_ != nullptr ? *spec_->safe : "", .findings = std::move(findings_)};
    }

 private:
    void append(std::vector<Finding> more) { std::ranges::move(more, std::back_inserter(findings_)); }

    /// Effective user of this program: "Uid: real effective saved filesystem".
    void rights() {
        Lines lines("rights");
        const std::string where = "/proc/self/status";
        const Seen<std::string> text = system_.read(where);
        if (!text.there()) return unknown(lines, where, text ? missing(where) : text.error());
        for (const std::string_view line : lines_of(text.value())) {
            const std::vector<std::string_view> words = words_of(line);
            if (words.size() < 3 || words[0] != "Uid:") continue;
            if (words[2] == "0")
                lines.ok(where, "run as root");
            else
                lines.fault(where, "not run as root: much cannot be seen, nothing changed", "run as root");
        }
        append(lines.take());
    }

    struct Feature {
        std::string_view module;  // as /sys/module has it, once loaded or built in with parameters
        std::string_view option;  // of the kernel's configuration
        std::string_view use;
        bool needed;
    };

    void kernel() {
        Lines lines("kernel");
        const Seen<std::string> configuration = kernel_configuration(system_);
        const std::array<Feature, 6> features{
            {{"dm_crypt", "CONFIG_DM_CRYPT", "opens encrypted volumes", needs_.volumes},
             {"iscsi_tcp", "CONFIG_ISCSI_TCP", "attaches volumes over iSCSI", needs_.iscsi},
             {"nfsd", "CONFIG_NFSD", "serves volumes to VMs", needs_.exports},
             {"bridge", "CONFIG_BRIDGE", "connects VMs", needs_.network},
             {"nf_tables", "CONFIG_NF_TABLES_BRIDGE", "judges frames on the bridge", needs_.network},
             {"nf_conntrack_bridge", "CONFIG_NF_CONNTRACK_BRIDGE", "tells replies from new connections",
              needs_.network}}};
        for (const Feature& feature : features)
            if (feature.needed) judge(feature, configuration, lines);
        append(lines.take());
    }

    void judge(const Feature& feature, const Seen<std::string>& configuration, Lines& lines) const {
        const std::string module = fmt::format("/sys/module/{}", feature.module);
        const Seen<FileFacts> loaded = system_.status(module);
        if (!loaded) return lines.unknown(module, loaded.error());
        if (loaded.there()) return lines.ok(module, fmt::format("{}: {}", feature.module, feature.use));
        if (!configuration) return lines.unknown(module, configuration.error());
        const std::string where = fmt::format("{} and the kernel's configuration", module);
        if (!configuration.there())
            return lines.unknown(where, {.attempt = "tell whether the kernel has",
                                         .object = std::string(feature.module),
                                         .cause = "it is not loaded, and there is no configuration to look at",
                                         .advice = fmt::format("modprobe {}", feature.module)});
        for (const std::string_view line : lines_of(configuration.value())) {
            if (line == fmt::format("{}=y", feature.option))
                return lines.ok(where, fmt::format("{} is built in: {}", feature.module, feature.use));
            if (line != fmt::format("{}=m", feature.option)) continue;
            if (module_file(feature.module))
                return lines.ok(where, fmt::format("{} can be loaded: {}", feature.module, feature.use));
            return lines.fault(where, fmt::format("{} is a module, and its file is not installed", feature.module),
                               "install the kernel's modules, or reboot into the kernel they belong to");
        }
        lines.fault(where, fmt::format("the kernel has no {} ({}): {}", feature.module, feature.option, feature.use),
                    "boot a kernel that has it, Debian's own for instance");
    }

    /// modinfo knows compressed and renamed files; it loads nothing.
    [[nodiscard]] bool module_file(std::string_view module) const {
        const base::Result<base::Finished> found = system_.run({"modinfo", "-n", std::string(module)});
        return found && found->status == 0;
    }

    void processor() {
        Lines lines("processor");
        const std::string where = "/proc/cpuinfo";
        const Seen<std::string> text = system_.read(where);
        if (!text.there()) return unknown(lines, where, text ? missing(where) : text.error());
        bool aes = false;
        for (const std::string_view line : lines_of(text.value())) {
            const std::vector<std::string_view> words = words_of(line);
            if (!words.empty() && (words[0] == "flags" || words[0] == "Features"))
                aes = aes || std::ranges::find(words, "aes") != words.end();
        }
        if (aes)
            lines.ok(where, "has instructions for AES");
        else
            lines.fault(where, "no instructions for AES: volumes are slow, and tables leak by timing",
                        "use a processor that has them; in a virtual machine, pass the flag aes through");
        append(lines.take());
    }

    /// With /dev/kvm closed to libvirt's own user, its probes fail and every definition takes a minute (measured).
    void emulator() {
        if (!needs_.hypervisor.starts_with("qemu")) return;
        Lines lines("virtualisation");
        const std::string where = "/dev/kvm";
        const Seen<FileFacts> facts = system_.status(where);
        if (!facts) return unknown(lines, where, facts.error());
        if (!facts.there())
            lines.fault(where, "it is not there: guests are emulated, ten times slower",
                        "turn virtualisation on in the firmware, modprobe kvm_intel or kvm_amd");
        else if ((facts.value().mode & 066U) == 0)
            lines.fault(where,
                        fmt::format("its mode {:04o} shuts out libvirt's user: each definition takes a minute",
                                    facts.value().mode),
                        "chgrp kvm /dev/kvm; chmod 660 /dev/kvm");
        else
            lines.ok(where, fmt::format("there, mode {:04o}", facts.value().mode));
        append(lines.take());
    }

    void hypervisor() {
        Lines lines("libvirt");
        const std::string where = fmt::format("virsh -c {} version", needs_.hypervisor);
        const base::Result<base::Finished> answer = system_.run({"virsh", "-c", needs_.hypervisor, "version"});
        if (!answer)
            lines.fault(where, "virsh cannot be run: " + answer.error().cause,
                        "install libvirt-clients and libvirt-daemon-system");
        else if (answer->status != 0)
            lines.fault(where, "libvirtd does not answer: " + answer->errors,
                        "systemctl start libvirtd, and look at its log");
        else
            lines.ok(where, "answers");
        append(lines.take());
    }

    struct Tool {
        std::string_view program;
        std::string_view package;
        bool needed;
    };

    void tools() {
        Lines lines("tools");
        const std::array<Tool, 7> tools{{{"nft", "nftables", needs_.network},
                                         {"cryptsetup", "cryptsetup-bin", needs_.volumes},
                                         {"dmsetup", "dmsetup", needs_.volumes},
                                         {"iscsiadm", "open-iscsi", needs_.iscsi},
                                         {"iscsid", "open-iscsi", needs_.iscsi},
                                         {"exportfs", "nfs-kernel-server", needs_.exports},
                                         {"rpc.mountd", "nfs-kernel-server", needs_.exports}}};
        std::string there;
        for (const Tool& tool : tools) {
            if (!tool.needed) continue;
            if (found(tool.program))
                there += (there.empty() ? "" : ", ") + std::string(tool.program);
            else
                lines.fault("/usr/sbin, /usr/bin, /sbin, /bin", fmt::format("{} is not installed", tool.program),
                            fmt::format("apt-get install {}", tool.package));
        }
        if (lines.clean() && !there.empty()) lines.ok("/usr/sbin, /usr/bin, /sbin, /bin", there);
        append(lines.take());
    }

    [[nodiscard]] bool found(std::string_view program) const {
        return std::ranges::any_of(std::array{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"}, [&](const char* path) {
            const Seen<FileFacts> facts = system_.status(path + std::string(program));
            return facts.there() && (facts.value().mode & 0111U) != 0;
        });
    }

    /// One-time codes, certificates and tasks all end by the clock. adjtimex(2) tells whether something steers it; the
    /// tool prints it without changing anything.
    void clock() {
        Lines lines("clock");
        const std::string where = "timedatectl show -p NTPSynchronized";
        const base::Result<base::Finished> answer =
            system_.run({"timedatectl", "show", "-p", "NTPSynchronized", "--value"});
        const bool steered = answer && answer->status == 0 && answer->output.starts_with("yes");
        if (steered)
            lines.ok(where, "synchronised");
        else if (answer && answer->status == 0)
            lines.fault(where, "nothing keeps the clock right: certificates, codes and tasks end by it",
                        "apt-get install systemd-timesyncd, or chrony");
        else
            lines.unknown(where, {.attempt = "ask about",
                                  .object = "the clock",
                                  .cause = answer ? answer->errors : answer.error().cause,
                                  .advice = "see that something keeps it right: chronyc tracking"});
        append(lines.take());
    }

    void memory() {
        if (spec_ == nullptr) return;
        Lines lines("capacity");
        const std::string where = "/proc/meminfo";
        const Seen<std::string> text = system_.read(where);
        if (!text.there()) return unknown(lines, where, text ? missing(where) : text.error());
        const auto total = memory_field(text.value(), "MemTotal:");
        std::uint64_t wanted = std::uint64_t{512} << 20;  // the host's own programs
        std::uint64_t derivation = 0;
        for (const specs::VmSpec& vm : spec_->vms) wanted += vm.memory->bytes;
        for (const specs::VolumeSpec& volume : spec_->volumes)
            derivation = std::max(derivation, volume.encryption.kdf.memory->bytes);
        wanted += derivation;
        if (!total)
            lines.unknown(where, {.attempt = "read MemTotal in", .object = where, .cause = "there is none"});
        else if (*total < wanted)
            lines.fault(where,
                        fmt::format("{} MiB, where VMs, one key derivation and the host want {} MiB", *total >> 20,
                                    wanted >> 20),
                        "give the VMs less, or the host more");
        else
            lines.ok(where, fmt::format("{} MiB for the {} MiB of VMs, one key derivation and the host", *total >> 20,
                                        wanted >> 20));
        append(lines.take());
    }

    static Error missing(const std::string& path) {
        return {.attempt = "look at", .object = path, .cause = "it is not there", .advice = "mount procfs on /proc"};
    }

    void unknown(Lines& lines, const std::string& where, const Error& error) {
        lines.unknown(where, error);
        append(lines.take());
    }

    const System& system_;
    const specs::SafeSpec* spec_;
    Needs needs_;
    std::vector<Finding> findings_;
};

}  // namespace

Report examine(const System& system, const specs::SafeSpec* spec) { return Examination(system, spec).run(); }

}  // namespace safe::verify
