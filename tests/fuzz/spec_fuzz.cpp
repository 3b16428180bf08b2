// Any text, as a spec: never a crash, never long, and what is called valid is what the rest of the program relies on.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <set>
#include <string>
#include <string_view>

#include "specs/identity.hpp"
#include "specs/loader.hpp"

namespace {

using namespace safe::specs;  // NOLINT(google-build-using-namespace): a program of one file

void require(bool holds, std::string_view what) {
    if (holds) return;
    std::cerr << "broken: " << what << "\n";
    std::abort();
}

void check_name(std::string_view name) {
    constexpr std::string_view inner = "abcdefghijklmnopqrstuvwxyz0123456789-";
    require(!name.empty() && name.size() <= 20, "a name has 1 to 20 characters");
    require(name.find_first_not_of(inner) == std::string_view::npos, "a name is a DNS label");
    require(name.front() != '-' && name.back() != '-', "a name has no dash at an end");
}

void check_position(const Position& at) {
    require(at.file.empty() == (at.line == 0), "a position has a line, or is none");
}

/// Closing has somewhere to put what the VM holds.
void check_closing(const SafeSpec& spec, const VmSpec& vm) {
    if (vm.role.value == Role::service) return;
    if ((*spec.suspend).value == Suspend::disk) return require(spec.vault() != nullptr, "memory is saved in the vault");
    const auto is_for_disks = [](const VolumeSpec& volume) { return *volume.role == VolumeRole::disks; };
    require(!vm.image || spec.volumes.empty() || std::ranges::any_of(spec.volumes, is_for_disks),
            "a paused VM's disk does not lie in the vault");
}

void check_vm(const SafeSpec& spec, const VmSpec& vm) {
    check_name(vm.name);
    check_position(vm.memory_max.at);
    require(vm.image.has_value() != vm.boot.has_value(), "image or boot");
    require(!vm.disk || vm.image, "disk only with image");
    require(!vm.sha256 || (vm.image && (*vm.sha256)->hex.size() == 64), "sha256 only with image");
    require(vm.memory->bytes >= (16U << 20) && vm.memory->bytes % (1U << 20) == 0, "memory is whole MiB");
    require(*vm.memory <= *vm.memory_max && *vm.cpus <= *vm.cpus_max, "at most the maximum");
    require(*vm.cpus >= 1 && *vm.cpus_max <= 512, "from 1 to 512 CPUs");
    require(vm.address.has_value() == spec.network.has_value(), "an address on the network");
    require(!vm.address || spec.network->address->contains(**vm.address), "an address inside the network");
    require(!vm.image || (*vm.image)->resolved.starts_with('/'), "files are absolute");
    require(tap_of(*spec.safe, vm.name).size() <= 15, "Linux allows 15 characters");
    require(vm.role.value == Role::service || spec.suspend, "workspace VMs need suspend");
    require(!vm.cloud_init || vm.image, "cloud-init only with image");
    check_closing(spec, vm);
    std::set<std::string> paths;
    for (const VmMount& mount : vm.mounts) {
        const VolumeSpec* const volume = spec.volume(*mount.volume);
        require(vm.role.value == Role::workspace && spec.network, "only workspace VMs mount, over a network");
        require(volume != nullptr && *volume->role == VolumeRole::data, "only volumes of role data are mounted");
        require(mount.path->starts_with('/') && mount.path->find("/.") == std::string::npos, "mounts stay in place");
        require(paths.insert(*mount.path).second, "one volume in one place");
    }
}

void check_rule(const SafeSpec& spec, const RuleSpec& rule) {
    check_name(rule.name);
    const auto from = resolve_endpoint(spec, *rule.from);
    const auto to = resolve_endpoint(spec, *rule.to);
    require(from && to, "a rule's ends are known");
    require(spec.network && !rule.allow.empty(), "a rule allows something, on a network");
    for (const auto& service : rule.allow) require(parse_service(to_text(*service)).has_value(), "services are sound");
    const bool reaches_host = to->addresses.contains(spec.network->address->address);
    for (const auto& service : rule.allow) {
        const bool is_nfs = service->first_port <= 2049 && service->last_port >= 2049;
        require(!reaches_host || !is_nfs, "no rule reaches NFS");
    }
    const bool reaches_workspace = to->vm != nullptr && to->vm->role.value == Role::workspace;
    require(*rule.when == When::open || !reaches_workspace, "workspace VMs are reached while open only");
}

void check_volume(const VolumeSpec& volume) {
    check_name(volume.name);
    const int places = int{volume.iscsi.has_value()} + int{volume.file.has_value()} + int{volume.device.has_value()};
    require(places == 1, "a volume lies in one place");
    require(!volume.iscsi || (volume.iscsi->target->starts_with("iqn.") && volume.iscsi->target->size() <= 223),
            "a target has a name");
    require(!volume.file || (*volume.file)->resolved.starts_with('/'), "files are absolute");
    require(!volume.device || (*volume.device)->resolved.starts_with("/dev/"), "devices lie below /dev");
    const bool is_read_only = *volume.access == Access::read_only;
    require(!is_read_only || (*volume.role == VolumeRole::data && *volume.provision == Provision::never),
            "what is read-only is never written to");
    const EncryptionSpec& encryption = volume.encryption;
    require(*encryption.cipher == "aes-xts-plain64", "the cipher");
    require(*encryption.key_size == 512 || *encryption.key_size == 256, "the size of its key");
    const KdfSpec& kdf = encryption.kdf;
    require(
        *volume.role != VolumeRole::vault || (*kdf.type == KdfType::argon2id && *kdf.passes >= 4 && *kdf.passes <= 64),
        "the cost of a guess");
    require(encryption.kdf.memory->bytes >= (32U << 20) && encryption.kdf.memory->bytes <= (4ULL << 30), "its memory");
    require(*encryption.kdf.lanes >= 1 && *encryption.kdf.lanes <= 4, "its lanes");
}

void check_secret(const SecretRef& secret) {
    const bool is_file = secret.kind == SecretRef::Kind::file;
    require(!secret.name.empty() && is_file == secret.name.starts_with('/'), "a secret is a reference");
}

void check_user(const UserSpec& user) {
    check_name(user.name);
    require(user.name != "root" && !user.full_name->empty(), "a member has a name of their own");
    for (const auto& key : user.ssh_keys) {
        require(key->find_first_of("\n\r") == std::string::npos, "an SSH key is one line");
        require(key->starts_with("ssh-") || key->starts_with("ecdsa-") || key->starts_with("sk-"), "without options");
    }
}

void check_people(const SafeSpec& spec) {
    require(spec.users.empty() == !spec.directory, "users and directory, or neither");
    if (!spec.directory) return;
    const auto is_super = [](const UserSpec& user) { return *user.super; };
    require(spec.users.size() <= 31 && std::ranges::any_of(spec.users, is_super), "at most 31, one a super-user");
    require(spec.vault() != nullptr, "members hold keys to a vault");
    for (const UserSpec& user : spec.users) check_user(user);
    const bool is_local = spec.directory->ldap->starts_with("ldapi:");
    require(is_local || (spec.directory->ca && spec.directory->bind), "a directory server is known and logged in to");
    if (spec.directory->bind) check_secret(*spec.directory->bind->password);
}

void check_volumes(const SafeSpec& spec) {
    std::ptrdiff_t vaults = 0;
    for (const VolumeSpec& volume : spec.volumes) {
        check_volume(volume);
        vaults += *volume.role == VolumeRole::vault ? 1 : 0;
        if (volume.iscsi && volume.iscsi->chap) check_secret(*volume.iscsi->chap->secret);
    }
    require(spec.volumes.empty() ? vaults == 0 : vaults == 1, "one vault");
    for (const RemovalSpec& removal : spec.remove) {
        const std::string name = removal.resource->substr(removal.resource->find('/') + 1);
        const bool is_vm = removal.resource->starts_with("vm/");
        require(is_vm ? spec.vm(name) == nullptr : spec.volume(name) == nullptr, "what is declared is not removed");
        require(removal.uuid->size() == 36, "what is removed is named with its UUID");
    }
}

void check(const SafeSpec& spec) {
    check_name(*spec.safe);
    require(*spec.version == 1 && spec.digest.size() == 64, "version and digest");
    std::set<std::string> names;
    std::set<Ipv4> addresses;
    for (const VmSpec& vm : spec.vms) {
        check_vm(spec, vm);
        require(names.insert(vm.name).second && spec.vm(vm.name) == &vm, "names are unique");
        require(!vm.address || addresses.insert(**vm.address).second, "addresses are unique");
    }
    check_volumes(spec);
    check_people(spec);
    names.clear();
    for (const RuleSpec& rule : spec.firewall) {
        check_rule(spec, rule);
        require(names.insert(rule.name).second, "names are unique");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    const Loaded loaded = load_text(text, "/nonexistent/safe.yaml");
    bool has_errors = false;
    for (const Diagnostic& diagnostic : loaded.diagnostics) {
        has_errors = has_errors || diagnostic.severity == Diagnostic::Severity::error;
        require(!diagnostic.message.empty() && to_text(diagnostic).find('\n') == std::string::npos, "one line each");
        require(!diagnostic.at.file.empty(), "a fault has a place");
    }
    require(loaded.spec.has_value() != has_errors, "a spec, or an error");
    if (loaded.spec) check(*loaded.spec);
    return 0;
}
