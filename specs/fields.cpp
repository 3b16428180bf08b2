#include "specs/fields.hpp"

#include "specs/field_makers.hpp"
#include "specs/fields_people.hpp"
#include "specs/fields_storage.hpp"

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

Fields<CloudInitSpec> cloud_init_fields() {
    return {
        optional({"user-data",
                  "The file that is handed to cloud-init as it is, at most 1 MiB. Another content is another instance "
                  "to it, from the VM's next start on.",
                  "cloud/desktop.yaml"},
                 &CloudInitSpec::user_data, types::file_path()),
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
        pairs(
            {"mounts",
             "Where the VM finds volumes of role `data`, over NFS: the place in the VM, and the volume's name. Only of "
             "a workspace VM.",
             "{ /data: data }"},
            &VmSpec::mounts, &VmMount::path, types::mount_path(), &VmMount::volume, types::name()),
        part({"cloud-init",
              "Has cloud-init told in the VM what its name is, what it mounts and which super-users' keys open it; "
              "`{}` will do. Only with `image`, which is to bring cloud-init."},
             &VmSpec::cloud_init, cloud_init_fields()),
    };
}

Fields<RuleSpec> rule_fields() {
    return {
        required({"from", "Who may begin: a VM, `users`, `super-users`, an address or a network. Replies are implied.",
                  "users"},
                 &RuleSpec::from, types::endpoint()),
        required({"to", "Who is reached; named in the same way."}, &RuleSpec::to, types::endpoint()),
        list({"allow", "The services that are let through.", "[tcp/3389, tcp/22]"}, &RuleSpec::allow, types::service()),
        defaulted({"when",
                   "In which state of the safe the rule holds. What reaches a workspace VM holds only in `open`, and "
                   "what one sends as part of a range of addresses."},
                  &RuleSpec::when, types::when(), "open"),
    };
}

/// What `include` names is merged before there is a whole document to read (specs/loader.cpp); here it is only checked.
Field<SafeSpec> include_field() {
    FieldInfo info = Key{"include",
                         "Further files, and directories whose *.yaml files are read in the order of their names, all "
                         "below the spec's own directory. They add to `volumes`, `vms`, `firewall` and `users` by "
                         "name; any other key may be "
                         "given in one file only. Only the first file may include.",
                         "[vms.yaml, rules]"}
                         .info(FieldInfo::Presence::optional, FieldInfo::Shape::list, types::include_path().info);
    return {std::move(info), [](SafeSpec&, const Entry& entry, const std::string& path, Reader& reader) {
                static_cast<void>(read_list(entry.value, types::include_path(), path, reader));
            }};
}

Fields<DeadlinesSpec> deadlines_fields() {
    return {
        defaulted(
            {"suspend",
             "For suspending the workspace VMs, all together; one that is not asleep then has its power cut.", "2m"},
            &DeadlinesSpec::suspend, types::deadline(), "2m"),
        defaulted({"close", "For closing as a whole.", "5m"}, &DeadlinesSpec::close, types::deadline(), "5m"),
        defaulted({"storage", "For storage that went away to come back; when locking it is not waited for.", "90s"},
                  &DeadlinesSpec::storage, types::deadline(), "90s"),
        defaulted({"lock", "For locking as a whole.", "30s"}, &DeadlinesSpec::lock, types::deadline(), "30s"),
    };
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
        defaulted({"linger", "How long after the last person has left the safe closes. It never delays a lock.", "60s"},
                  &SafeSpec::linger, types::linger(), "60s"),
        defaulted_part({"deadlines", "How long each may take before the next harder means is used."},
                       &SafeSpec::deadlines, deadlines_fields()),
        defaulted({"hypervisor", "The hypervisor, as a libvirt URI."}, &SafeSpec::hypervisor, types::uri(),
                  "qemu:///system"),
        part({"network", "The safe's own network."}, &SafeSpec::network, network_fields()),
        names({"volumes",
               "The encrypted volumes, by name: one of role vault, and any others. They may be left out while no VM "
               "mounts one and nothing is suspended to disk."},
              &SafeSpec::volumes, types::name(), volume_fields()),
        names({"vms", "The virtual machines, by name."}, &SafeSpec::vms, types::name(), vm_fields()),
        names({"firewall", "What is let through, by name of the rule; everything else is dropped."},
              &SafeSpec::firewall, types::name(), rule_fields()),
        part({"directory", "The directory server that holds the members' accounts. Required with `users`."},
             &SafeSpec::directory, directory_fields()),
        names({"users", "The members, by name of their account; at least one of them a super-user, at most 30."},
              &SafeSpec::users, types::name(), user_fields()),
        pairs({"remove",
               "What is orphaned and may be destroyed with all that it holds, each with its UUID, so that nothing else "
               "can be meant.",
               "{ vm/old-forge: 3b9c1f0e-5b0a-4d5c-8a53-0c6a1c2f9e7d }"},
              &SafeSpec::remove, &RemovalSpec::resource, types::orphan(), &RemovalSpec::uuid, types::uuid()),
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
