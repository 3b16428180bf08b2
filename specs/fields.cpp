#include "specs/fields.hpp"

#include "specs/field_makers.hpp"

namespace safe::specs {
namespace {

Fields<Uplink> uplink_fields() {
    return {
        required({"interface", "The hypervisor's interface towards the outside."}, &Uplink::interface,
                 types::interface()),
        pairs(
            {"publish",
             "Ports of the hypervisor's outside address that are handed to a service VM: the port, and the VM's name.",
             "{ udp/1194: gateway }"},
            &Uplink::publish, &Publish::service, types::port(), &Publish::vm, types::name()),
    };
}

Fields<NetworkSpec> network_fields() {
    return {
        required({"bridge", "The bridge that joins the VMs; made, and removed, with the safe."}, &NetworkSpec::bridge,
                 types::bridge()),
        required({"address",
                  "The hypervisor's own address on the bridge, with the prefix length of the safe's network: 8 to 30."},
                 &NetworkSpec::address, types::interface_address()),
        optional({"gateway",
                  "The service VM that forwards for people: it alone may also send from `users` and `super-users`.",
                  "gateway"},
                 &NetworkSpec::gateway, types::name()),
        optional({"users",
                  "The addresses that the gateway hands to members; a rule names them by this word. Outside the safe's "
                  "network."},
                 &NetworkSpec::users, types::network()),
        optional(
            {"super-users", "The same for super-users, who stay connected while the safe is locked.", "10.78.1.0/24"},
            &NetworkSpec::super_users, types::network()),
        part({"uplink", "The one door to the outside."}, &NetworkSpec::uplink, uplink_fields()),
    };
}

Fields<BootSpec> boot_fields() {
    return {
        required({"kernel", "The kernel's file on the host.", "guest/vmlinux"}, &BootSpec::kernel, types::file_path()),
        optional({"initrd", "The file of the initial RAM disk.", "guest/initrd.img"}, &BootSpec::initrd,
                 types::file_path()),
        defaulted({"cmdline", "The kernel's command line.", "console=ttyS0 quiet"}, &BootSpec::cmdline,
                  types::kernel_command_line(), ""),
    };
}

Fields<VmSpec> vm_fields() {
    return {
        required({"role", "`service` runs in every mode; `workspace` runs only while the safe is open."}, &VmSpec::role,
                 types::role()),
        optional({"image", "The image that the VM's disk starts from. Exactly one of `image` and `boot` is given."},
                 &VmSpec::image, types::file_path()),
        part({"boot", "A kernel to boot directly, without a disk."}, &VmSpec::boot, boot_fields()),
        optional({"sha256", "The image's digest, checked before the image is first used. Only with `image`."},
                 &VmSpec::sha256, types::sha256()),
        optional({"disk",
                  "The size of the VM's disk, an overlay on the image; left out, the image's own. Only with `image`.",
                  "40GiB"},
                 &VmSpec::disk, types::disk_size()),
        required({"memory", "The memory that the VM has."}, &VmSpec::memory, types::memory_size()),
        same_as({"memory-max", "What the memory may become while the VM runs; at least `memory`.", "16GiB"},
                &VmSpec::memory_max, types::memory_size(), &VmSpec::memory, "memory"),
        required({"cpus", "The CPUs that the VM has.", "4"}, &VmSpec::cpus, types::cpus()),
        same_as({"cpus-max", "What the CPUs may become while the VM runs; at least `cpus`.", "8"}, &VmSpec::cpus_max,
                types::cpus(), &VmSpec::cpus, "cpus"),
        optional(
            {"address",
             "The VM's address, reserved for it by DHCP: inside the safe's network and nobody else's. Required once "
             "there is a network."},
            &VmSpec::address, types::ipv4()),
    };
}

Fields<RuleSpec> rule_fields() {
    return {
        required({"from", "Who may begin: a VM, `users`, `super-users`, an address or a network. Replies are implied.",
                  "users"},
                 &RuleSpec::from, types::endpoint()),
        required({"to", "Who is reached; named in the same way."}, &RuleSpec::to, types::endpoint()),
        list({"allow", "The services that are let through.", "[tcp/3389, tcp/22]"}, &RuleSpec::allow, types::service()),
        defaulted(
            {"when", "In which state of the safe the rule holds. What reaches a workspace VM holds only in `open`."},
            &RuleSpec::when, types::when(), "open"),
    };
}

/// What `include` names is merged before there is a whole document to read (specs/loader.cpp); here it is only checked.
Field<SafeSpec> include_field() {
    FieldInfo info =
        Key{"include",
            "Further files, and directories whose *.yaml files are read in the order of their names, all "
            "below the spec's own directory. They add to `vms` and `firewall` by name; any other key may be "
            "given in one file only. Only the first file may include.",
            "[vms.yaml, rules]"}
            .info(FieldInfo::Presence::optional, FieldInfo::Shape::list, types::include_path().info);
    return {std::move(info), [](SafeSpec&, const Entry& entry, const std::string& path, Reader& reader) {
                static_cast<void>(read_list(entry.value, types::include_path(), path, reader));
            }};
}

Fields<SafeSpec> make_spec_fields() {
    return {
        required({"version", "The version of the language."}, &SafeSpec::version, types::version()),
        required({"safe", "The safe's name. It names everything that is ours on the host.", "atlas"}, &SafeSpec::safe,
                 types::name()),
        include_field(),
        defaulted({"mode",
                   "What the operator wants. `auto` follows people: open while somebody is connected or a task runs, "
                   "closed otherwise. `closed` and `locked` hold against any login."},
                  &SafeSpec::mode, types::mode(), "auto"),
        optional({"suspend",
                  "What closing does to workspace VMs: `disk` saves their memory in the vault, `ram` pauses them. "
                  "Required once there are workspace VMs."},
                 &SafeSpec::suspend, types::suspend()),
        defaulted({"hypervisor", "The hypervisor, as a libvirt URI."}, &SafeSpec::hypervisor, types::uri(),
                  "qemu:///system"),
        part({"network", "The safe's own network."}, &SafeSpec::network, network_fields()),
        names({"vms", "The virtual machines, by name."}, &SafeSpec::vms, types::name(), vm_fields()),
        names({"firewall", "What is let through, by name of the rule; everything else is dropped."},
              &SafeSpec::firewall, types::name(), rule_fields()),
    };
}

}  // namespace

const Fields<SafeSpec>& spec_fields() {
    static const Fields<SafeSpec> fields = make_spec_fields();
    return fields;
}

const std::vector<FieldInfo>& spec_field_infos() {
    static const std::vector<FieldInfo> infos = [] {
        std::vector<FieldInfo> list;
        for (const Field<SafeSpec>& field : spec_fields()) list.push_back(field.info);
        return list;
    }();
    return infos;
}

}  // namespace safe::specs
