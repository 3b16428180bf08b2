#include "tests/unit/verify/fake_host.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "plugins/nftables/compile.hpp"
#include "plugins/nftables/rule_text.hpp"
#include "specs/loader.hpp"

namespace safe::verify::test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

specs::SafeSpec atlas_spec(const std::string& suspend) {
    const std::string text = fmt::format(R"(version: 1
safe: atlas
suspend: {}
network: {{ bridge: br-atlas, address: 10.77.0.1/24, gateway: gateway, users: 10.78.0.0/24 }}
volumes:
  vault: {{ role: vault, file: /srv/vault.img }}
  data:
    role: data
    iscsi: {{ portal: "192.0.2.10:3260", target: "iqn.2026-01.org.example:atlas", lun: 2, chap: {{ user: atlas, secret: {{ file: /etc/safe/atlas/chap }} }} }}
  disks: {{ role: disks, device: /dev/sdz }}
vms:
  gateway: {{ role: service, image: gateway.qcow2, memory: 512MiB, cpus: 1, address: 10.77.0.2 }}
  desktop: {{ role: workspace, image: desktop.qcow2, memory: 512MiB, cpus: 1, address: 10.77.0.20, mounts: {{ /data: data }} }}
firewall:
  users-to-desktop: {{ from: users, to: desktop, allow: [tcp/22], when: open }}
  gateway-to-host: {{ from: gateway, to: 10.77.0.1, allow: [tcp/22], when: locked }}
)",
                                         suspend);
    specs::Loaded loaded = specs::load_text(text, "safe.yaml");
    std::string problems;
    for (const specs::Diagnostic& diagnostic : loaded.diagnostics) problems += to_text(diagnostic) + "\n";
    if (!loaded.spec) throw std::runtime_error(problems);
    return *loaded.spec;
}

FakeHost::FakeHost() {
    write("/proc/cmdline", "root=/dev/vda1 ro init_on_free=1\n");
    write("/proc/keys",
          "0a1b2c3d I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 1\n"
          "1d5e4a3f I--Q---     2 perm 3f030000     0     0 keyring   _ses: 1\n");
    write("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    write("/proc/self/status", "Name:\tsafectl\nUid:\t0\t0\t0\t0\n");
    link("/proc/self/ns/mnt", "mnt:[1]");
    write("/sys/kernel/kexec_crash_loaded", "0\n");
    write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    disk("vda", "254:0");
    process(1, "init", {"/sbin/init"});
    process(80, "qemu-system-x86",
            {"/usr/bin/qemu-system-x86_64", "-name", "guest=atlas-gateway,debug-threads=on", "-uuid", "none"});
    answers("virsh -c qemu:///system domstate atlas-gateway", "running\n\n");

    folder("/srv/safe/atlas");
    // A LUKS2 header: magic, and the UUID at 168.
    std::string header("LUKS\xba\xbe\x00\x02", 8);
    header.resize(168);
    header += vault_uuid;
    header.resize(4096);
    write("/srv/vault.img", header);
    write("/var/lib/safe/atlas/headers/data/record.json", fmt::format(R"({{"version": 1, "uuid": "{}"}})", data_uuid));
    write("/var/lib/safe/atlas/headers/disks/record.json",
          R"({"version": 1, "uuid": "33333333-0000-0000-0000-000000000000"})");
    write("/dev/sdz", "block 8:240");
    disk("sdz", "8:240");
    write("/etc/safe/atlas/chap", "secret");

    hooks_ = {{"base", ""},           {"sources", ""},    {"open", ""},
              {"storage", ""},        {"locked", ""},     {"prerouting", "prerouting"},
              {"forward", "forward"}, {"input", "input"}, {"output", "output"}};
    const specs::SafeSpec spec = atlas_spec();
    for (const auto& [chain, hook] : hooks_) {
        no_rules(chain);
        if (chain == "base" || chain == "sources" || !hook.empty()) compiled_rules(chain, spec);
    }
}

void FakeHost::write(const std::string& path, std::string_view text) const {
    const fs::path whole = root_.path() / path.substr(1);
    fs::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::binary | std::ios::trunc) << text;
    fs::permissions(whole, fs::perms(0600));
}

void FakeHost::link(const std::string& path, const std::string& target) const {
    const fs::path whole = root_.path() / path.substr(1);
    fs::create_directories(whole.parent_path());
    fs::remove(whole);
    fs::create_symlink(target, whole);
}

void FakeHost::folder(const std::string& path) const { fs::create_directories(root_.path() / path.substr(1)); }

void FakeHost::remove(const std::string& path) const { fs::remove_all(root_.path() / path.substr(1)); }

void FakeHost::mode(const std::string& path, unsigned mode) const {
    fs::permissions(root_.path() / path.substr(1), fs::perms(mode));
}

void FakeHost::process(int id, const std::string& name, const std::vector<std::string>& arguments,
                       const std::string& space, const std::string& mountinfo) const {
    const std::string own = fmt::format("/proc/{}", id);
    const std::string thread = fmt::format("{}/task/{}", own, id);
    write(own + "/comm", name + "\n");
    std::string command;
    for (const std::string& argument : arguments) command += argument + '\0';
    write(own + "/cmdline", command);
    write(own + "/maps", "");
    folder(own + "/fd");
    link(own + "/cwd", "/srv");
    link(thread + "/ns/mnt", space);
    write(thread + "/comm", "CPU 0/KVM\n");
    write(thread + "/stat", fmt::format("{} (CPU 0/KVM) S 1 1 1 0 -1 0 0 0 0 0 70 30 0 0 20 0 1 0 5\n", id));
    write(thread + "/mountinfo", "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n" + mountinfo);
}

void FakeHost::disk(const std::string& name, const std::string& number) const {
    write("/sys/block/" + name + "/dev", number + "\n");
}

void FakeHost::loop(const std::string& name, const std::string& number, const std::string& file) const {
    disk(name, number);
    write("/sys/block/" + name + "/loop/backing_file", file + "\n");
}

void FakeHost::mapping(const std::string& device, const std::string& number, const std::string& name,
                       const std::string& uuid, const std::string& under) const {
    disk(device, number);
    write("/sys/block/" + device + "/dm/name", name + "\n");
    write("/sys/block/" + device + "/dm/uuid", uuid + "\n");
    write("/sys/block/" + device + "/dm/suspended", "0\n");
    if (!under.empty()) folder("/sys/block/" + device + "/slaves/" + under);
}

void FakeHost::session(const std::string& name, const std::string& target, const std::string& portal, int lun,
                       const std::string& disk_name) const {
    const std::string own = "/sys/class/iscsi_session/" + name;
    const std::string connection = own + "/device/connection1:0/iscsi_connection/connection1:0";
    write(own + "/targetname", target + "\n");
    write(own + "/state", "LOGGED_IN\n");
    write(connection + "/persistent_address", portal.substr(0, portal.find(':')) + "\n");
    write(connection + "/persistent_port", portal.substr(portal.find(':') + 1) + "\n");
    if (!disk_name.empty()) folder(fmt::format("{}/device/target2:0:0/2:0:0:{}/block/{}", own, lun, disk_name));
}

void FakeHost::answers(const std::string& command, const std::string& output, int status) {
    programs_[command] = {.status = status, .output = output, .errors = status == 0 ? "" : output};
}

void FakeHost::rule(const std::string& chain, const std::string& comment, const std::string& expression) {
    Json object{{"chain", chain}, {"table", "safe-atlas"}, {"comment", comment}, {"expr", Json::parse(expression)}};
    rules_[chain].push_back({{"rule", object}});
}

void FakeHost::first_rule(const std::string& chain, const std::string& comment, const std::string& expression) {
    const Json behind = std::exchange(rules_[chain], Json::array());
    rule(chain, comment, expression);
    rules_[chain].insert(rules_[chain].end(), behind.begin(), behind.end());
}

void FakeHost::compiled_rules(const std::string& chain, const specs::SafeSpec& spec) {
    no_rules(chain);
    nftables::Firewall firewall = nftables::compile(spec, *spec.network);
    // In the mode that it is for, a chain that the base has empty has its rules.
    std::vector<nftables::Chain> chains{firewall.storage, firewall.open, firewall.locked};
    chains.insert(chains.end(), firewall.base.begin(), firewall.base.end());
    const auto found = std::ranges::find(chains, chain, &nftables::Chain::name);
    for (const nftables::Rule& one : found->rules)
        rule(chain, one.name, nftables::parse_rule_text(one.text).value().dump());
}

System FakeHost::system() const {
    return {root_.path(), [this](const std::vector<std::string>& arguments) { return run(arguments); },
            [this](const fs::path& path, bool follow) {
                return status("/" + path.lexically_relative(root_.path()).string(), follow);
            }};
}

std::optional<std::string> FakeHost::list_firewall(const std::string& command) const {
    if (command == "nft list tables bridge") return table_ ? "table bridge safe-atlas\n" : "table bridge other\n";
    if (command == "nft list table bridge safe-atlas") return "table bridge safe-atlas {\n\tchain base {\n\t}\n}\n";
    Json out = Json::array({{{"metainfo", {{"json_schema_version", 1}}}}});
    if (command == "nft -j list chains bridge") {
        for (const auto& [chain, hook] : hooks_) {
            Json object{{"family", "bridge"}, {"table", "safe-atlas"}, {"name", chain}};
            if (!hook.empty()) object["hook"] = hook;
            out.push_back({{"chain", object}});
        }
    } else if (const std::string start = "nft -j list chain bridge safe-atlas "; command.starts_with(start)) {
        for (const Json& rule : rules_.at(command.substr(start.size()))) out.push_back(rule);
    } else {
        return std::nullopt;
    }
    return Json{{"nftables", out}}.dump();
}

base::Result<base::Finished> FakeHost::run(const std::vector<std::string>& arguments) const {
    std::string command;
    for (const std::string& argument : arguments) command += (command.empty() ? "" : " ") + argument;
    command = command.substr(std::string("timeout 30 ").size());
    if (before_run) before_run(command);
    if (const auto program = programs_.find(command); program != programs_.end()) return program->second;
    if (const std::optional<std::string> listing = list_firewall(command))
        return base::Finished{.status = 0, .output = *listing, .errors = ""};
    return base::fail({.attempt = "run", .object = command, .cause = "this host has no such program"});
}

Seen<FileFacts> FakeHost::status(const std::string& path, bool follow) const {
    if (forbidden.contains(path))
        return base::fail({.attempt = "look at", .object = path, .cause = "Permission denied"});
    std::string real = path;
    while (follow && fs::is_symlink(root_.path() / real.substr(1))) {
        const fs::path target = fs::read_symlink(root_.path() / real.substr(1));
        if (!target.is_absolute()) return std::nullopt;  // "socket:[123]"
        real = target.string();
    }
    const fs::path whole = root_.path() / real.substr(1);
    struct stat facts{};
    if (::lstat(whole.c_str(), &facts) != 0) return std::nullopt;
    FileFacts answer{.type = S_ISREG(facts.st_mode)   ? FileFacts::Type::file
                             : S_ISDIR(facts.st_mode) ? FileFacts::Type::directory
                                                      : FileFacts::Type::other,
                     .mode = facts.st_mode & 07777U,
                     .owner = owners.contains(real) ? owners.at(real) : 0,
                     .filesystem = {254, 0},
                     .inode = facts.st_ino};
    for (const auto& [below, number] : filesystems)
        if (real.starts_with(below)) answer.filesystem = number;
    if (!real.starts_with("/dev/")) return answer;
    std::string content;
    std::getline(std::ifstream(whole), content);
    if (!content.starts_with("block ")) return answer;
    answer.type = FileFacts::Type::block;
    answer.device = parse_device_number(content.substr(6)).value();
    return answer;
}

std::vector<std::string> complaints(const Report& report) {
    std::vector<std::string> lines;
    for (const Finding& finding : report.findings)
        if (finding.verdict != Verdict::ok)
            lines.push_back(fmt::format("{} {}: {}", to_text(finding.verdict), finding.subject, finding.found));
    return lines;
}

}  // namespace safe::verify::test
