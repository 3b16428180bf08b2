// Any text, as a spec: never a crash, never long, and what is called valid is what the rest of the program relies on.
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
}

void check_rule(const SafeSpec& spec, const RuleSpec& rule) {
    check_name(rule.name);
    const auto from = resolve_endpoint(spec, *rule.from);
    const auto to = resolve_endpoint(spec, *rule.to);
    require(from && to, "a rule's ends are known");
    require(spec.network && !rule.allow.empty(), "a rule allows something, on a network");
    for (const auto& service : rule.allow) require(parse_service(to_text(*service)).has_value(), "services are sound");
    const bool reaches_workspace = to->vm != nullptr && to->vm->role.value == Role::workspace;
    require(*rule.when == When::open || !reaches_workspace, "workspace VMs are reached while open only");
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
