#include "plugins/libvirt/domain_xml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "plugins/libvirt/drivers.hpp"

namespace safe::libvirt {
namespace {

using model::Attributes;
using model::Branch;
using model::Bytes;
using pugi::xml_node;

// --- writing

const Branch* branch_of(const Branch& branch, std::string_view key) {
    const model::Value* value = branch.find(key);
    return value != nullptr ? value->branch() : nullptr;
}

std::uint64_t bytes_of(const Branch& branch, std::string_view key) {
    const Bytes* bytes = model::get<Bytes>(branch, key);
    return bytes != nullptr ? bytes->count : 0;
}

long long count_of(const Branch& branch, std::string_view key) {
    const std::int64_t* count = model::get<std::int64_t>(branch, key);
    return count != nullptr ? *count : 0;
}

void set(xml_node node, const char* name, const std::string& value) { node.append_attribute(name) = value.c_str(); }

xml_node add(xml_node parent, const char* name, const std::string& text = {}) {
    xml_node child = parent.append_child(name);
    if (!text.empty()) child.text().set(text.c_str());
    return child;
}

class Writer {
 public:
    Writer(const Identity& identity, const Attributes& hardware)
        : identity_(identity), hardware_(hardware), xen_(identity.type == "xen"), test_(identity.type == "test") {}

    std::string write() {
        pugi::xml_document document;
        const xml_node domain = document.append_child("domain");
        set(domain, "type", identity_.type);
        add(domain, "name", identity_.name);
        add(domain, "uuid", identity_.uuid);
        write_owner(domain, identity_.owner);
        if (identity_.suspended) write_suspended(domain, *identity_.suspended);
        write_resources(domain);
        write_os(domain);
        write_behaviour(domain);
        const xml_node devices = add(domain, "devices");
        write_disk(devices);
        write_seed(devices);
        write_nic(devices);
        write_console(devices);
        write_rest(devices);
        return xml_text(document);
    }

 private:
    static void write_size(xml_node parent, const char* name, std::uint64_t bytes) {
        const xml_node node = add(parent, name, std::to_string(bytes / 1024));
        set(node, "unit", "KiB");
    }

    void write_resources(xml_node domain) const {
        write_size(domain, "memory", bytes_of(hardware_, "memory-max"));
        write_size(domain, "currentMemory", bytes_of(hardware_, "memory"));
        xml_node cpus = add(domain, "vcpu", std::to_string(count_of(hardware_, "cpus-max")));
        cpus.append_attribute("current") = count_of(hardware_, "cpus");
    }

    void write_os(xml_node domain) const {
        const Branch* boot = branch_of(hardware_, "boot");
        const xml_node os = add(domain, "os");
        const xml_node type = add(os, "type", xen_ && boot != nullptr ? "linux" : "hvm");
        // The machine that boots an uncompressed kernel (PVH) and virtio the fastest; libvirt pins its version.
        if (!xen_ && !test_) set(type, "machine", "pc");
        if (boot == nullptr) {
            set(add(os, "boot"), "dev", "hd");
            return;
        }
        add(os, "kernel", text_of(*boot, "kernel"));
        if (const std::string initrd = text_of(*boot, "initrd"); !initrd.empty()) add(os, "initrd", initrd);
        if (const std::string cmdline = text_of(*boot, "cmdline"); !cmdline.empty()) add(os, "cmdline", cmdline);
    }

    void write_behaviour(xml_node domain) const {
        if (!xen_) add(add(domain, "features"), "acpi");
        if (identity_.type == "kvm") set(add(domain, "cpu"), "mode", "host-passthrough");
        if (identity_.type == "qemu") set(add(domain, "cpu"), "mode", "maximum");
        set(add(domain, "clock"), "offset", "utc");
        add(domain, "on_poweroff", "destroy");
        add(domain, "on_reboot", "restart");
        add(domain, "on_crash", "destroy");
        if (identity_.type != "kvm" && identity_.type != "qemu") return;
        // A guest that sleeps by itself can neither be paused nor be kept from waking by itself.
        const xml_node power = add(domain, "pm");
        for (const char* sleep : {"suspend-to-mem", "suspend-to-disk"}) set(add(power, sleep), "enabled", "no");
    }

    void write_disk(xml_node devices) const {
        const Branch* disk = branch_of(hardware_, "disk");
        if (disk == nullptr) return;
        const xml_node node = add(devices, "disk");
        set(node, "type", "file");
        set(node, "device", "disk");
        const xml_node driver = add(node, "driver");
        set(driver, "name", "qemu");
        set(driver, "type", text_of(*disk, "format"));
        if (!xen_) set(driver, "discard", "unmap");
        set(add(node, "source"), "file", text_of(*disk, "file"));
        // The whole chain, so that nobody looks into a file that a guest writes to find out what it is.
        const xml_node base = add(node, "backingStore");
        set(base, "type", "file");
        set(add(base, "format"), "type", text_of(*disk, "base-format"));
        set(add(base, "source"), "file", text_of(*disk, "base"));
        add(base, "backingStore");
        const xml_node target = add(node, "target");
        set(target, "dev", xen_ ? "xvda" : "vda");
        set(target, "bus", xen_ ? "xen" : "virtio");
    }

    /// A disk, and no CD: virtio is the only bus that every guest here can be expected to know.
    void write_seed(xml_node devices) const {
        if (identity_.seed.empty()) return;
        const xml_node node = add(devices, "disk");
        set(node, "type", "file");
        set(node, "device", "disk");
        const xml_node driver = add(node, "driver");
        set(driver, "name", "qemu");
        set(driver, "type", "raw");
        set(add(node, "source"), "file", identity_.seed);
        add(node, "backingStore");
        const xml_node target = add(node, "target");
        set(target, "dev", xen_ ? "xvdb" : "vdb");
        set(target, "bus", xen_ ? "xen" : "virtio");
        add(node, "readonly");
    }

    void write_nic(xml_node devices) const {
        const Branch* nic = branch_of(hardware_, "nic");
        if (nic == nullptr) return;
        const xml_node node = add(devices, "interface");
        set(node, "type", "network");
        set(add(node, "mac"), "address", text_of(*nic, "mac"));
        set(add(node, "source"), "network", text_of(*nic, "network"));
        set(add(node, "target"), "dev", text_of(*nic, "interface"));
        if (!xen_) set(add(node, "model"), "type", "virtio");
    }

    void write_console(xml_node devices) const {
        const xml_node node = add(devices, xen_ ? "console" : "serial");
        set(node, "type", "pty");
        const xml_node log = add(node, "log");
        set(log, "file", text_of(hardware_, "console"));
        set(log, "append", "on");  // or a restored guest would begin it anew
        if (xen_) set(add(node, "target"), "type", "xen");
    }

    void write_rest(xml_node devices) const {
        if (xen_ || test_) return;
        const xml_node usb = add(devices, "controller");
        set(usb, "type", "usb");
        set(usb, "model", "none");
        const bool fixed = bytes_of(hardware_, "memory") == bytes_of(hardware_, "memory-max");
        set(add(devices, "memballoon"), "model", fixed ? "none" : "virtio");
        const xml_node rng = add(devices, "rng");
        set(rng, "model", "virtio");
        set(add(rng, "backend", "/dev/urandom"), "model", "random");
    }

    const Identity& identity_;
    const Attributes& hardware_;
    const bool xen_;
    const bool test_;
};

// --- reading

/// https://libvirt.org/formatdomain.html#memory-allocation; libvirt itself always writes KiB.
std::uint64_t parse_size(xml_node node) {
    const std::string_view unit = node.attribute("unit").as_string("KiB");
    const std::uint64_t number = node.text().as_ullong();
    if (unit == "b" || unit == "bytes") return number;
    if (unit == "M" || unit == "MiB") return number << 20;
    if (unit == "G" || unit == "GiB") return number << 30;
    return number << 10;
}

std::string attribute(xml_node parent, const char* child, const char* name) {
    return parent.child(child).attribute(name).value();
}

class Reader {
 public:
    Reader(xml_node domain, View view) : domain_(domain), devices_(domain.child("devices")), view_(view) {}

    DomainSeen read() {
        DomainSeen seen{.type = domain_.attribute("type").value(),
                        .owner = read_owner(domain_),
                        .suspended = read_suspended(domain_),
                        .restored = read_restored(domain_),
                        .hardware = {},
                        .seed = {},
                        .memory_in_use = {},
                        .networks = {}};
        read_resources(seen);
        if (const xml_node disk = devices_.child("disk")) hardware_.set("disk", read_disk(disk));
        if (const xml_node nic = devices_.child("interface")) hardware_.set("nic", read_nic(nic));
        for (const xml_node nic : devices_.children("interface"))
            if (const std::string network = attribute(nic, "source", "network"); !network.empty())
                seen.networks.push_back(network);
        if (const xml_node disk = seed()) seen.seed = source_of(disk);
        read_boot();
        read_console();
        read_extra();
        seen.hardware = std::move(hardware_);
        return seen;
    }

 private:
    void read_resources(DomainSeen& seen) {
        const std::uint64_t most = parse_size(domain_.child("memory"));
        const xml_node current = domain_.child("currentMemory");
        const std::uint64_t in_use = current ? parse_size(current) : most;
        // A guest that keeps more than it was told to is no drift: it gives memory back when it can, or never.
        const std::uint64_t told = seen.owner && view_ == View::live ? seen.owner->memory : 0;
        seen.memory_in_use = Bytes{in_use};
        hardware_.set("memory", Bytes{told != 0 && in_use > told ? told : in_use});
        hardware_.set("memory-max", Bytes{most});
        const xml_node cpus = domain_.child("vcpu");
        const auto cpus_max = cpus.text().as_llong();
        hardware_.set("cpus", cpus.attribute("current").as_llong(cpus_max));
        hardware_.set("cpus-max", cpus_max);
    }

    static Branch read_disk(xml_node disk) {
        Branch branch;
        branch.set("file", source_of(disk));
        branch.set("format", attribute(disk, "driver", "type"));
        const xml_node base = disk.child("backingStore");
        branch.set("base", source_of(base));
        branch.set("base-format", attribute(base, "format", "type"));
        if (base.child("backingStore").child("source"))
            branch.set("base-of-base", source_of(base.child("backingStore")));
        if (const std::string_view device = disk.attribute("device").as_string("disk"); device != "disk")
            branch.set("device", device);
        return branch;
    }

    /// The path of a file; for any other source its type and where it is, which no wish of ours equals.
    static std::string source_of(xml_node node) {
        const xml_node source = node.child("source");
        const std::string_view type = node.attribute("type").as_string("file");
        if (type == "file") return source.attribute("file").value();
        std::string text(type);
        for (const char* name : {"dev", "name", "pool", "volume", "dir"})
            if (const pugi::xml_attribute found = source.attribute(name)) text += std::string(" ") + found.value();
        return text;
    }

    static Branch read_nic(xml_node nic) {
        Branch branch;
        branch.set("mac", attribute(nic, "mac", "address"));
        const std::string_view type = nic.attribute("type").value();
        const xml_node source = nic.child("source");
        if (type == "network")
            branch.set("network", source.attribute("network").value());
        else
            branch.set("network",
                       std::string(type) + " " + source.attribute("bridge").value() + source.attribute("dev").value());
        branch.set("interface", attribute(nic, "target", "dev"));
        return branch;
    }

    /// The second of its kind, if it is as ours are.
    [[nodiscard]] xml_node seed() const {
        const xml_node disk = devices_.child("disk").next_sibling("disk");
        const bool is_one = disk && disk.child("readonly") && attribute(disk, "driver", "type") == "raw" &&
                            disk.attribute("type").value() == std::string_view("file") &&
                            disk.attribute("device").as_string("disk") == std::string_view("disk") &&
                            !disk.child("backingStore").child("source");
        return is_one ? disk : xml_node();
    }

    void read_boot() {
        const xml_node os = domain_.child("os");
        if (!os.child("kernel")) return;
        Branch boot;
        boot.set("kernel", os.child("kernel").text().get());
        if (const xml_node initrd = os.child("initrd")) boot.set("initrd", initrd.text().get());
        boot.set("cmdline", os.child("cmdline").text().get());
        hardware_.set("boot", std::move(boot));
    }

    void read_console() {
        const xml_node serial = devices_.child("serial") ? devices_.child("serial") : devices_.child("console");
        const std::string_view type = serial.attribute("type").value();
        const std::string log = attribute(serial, "log", "file");
        hardware_.set("console", type == "pty" ? log : "on " + std::string(type.empty() ? "nothing" : type));
    }

    // --- what nobody asked for

    void read_extra() {
        for (const xml_node device : devices_.children()) count(device);
        for (const xml_node child : domain_.children()) {
            const std::string_view name = child.name();
            if (name.find(':') != std::string_view::npos) note(std::string(name));
            if (name == "seclabel") read_label(child);
        }
        if (!extra_.empty()) hardware_.set("extra", std::move(extra_));
    }

    void count(xml_node device) {
        const std::string_view name = device.name();
        // libvirt adds these by itself, or we do; none of them leads anywhere.
        static constexpr std::array<std::string_view, 4> harmless{"emulator", "controller", "memballoon", "rng"};
        if (std::ranges::find(harmless, name) != harmless.end()) return;
        if (name == "input" && !is_usb(device)) return;
        if (name == "audio" && device.attribute("type").as_string("none") == std::string_view("none")) return;
        if (name == "console") {
            // The first is the serial line seen once more.
            if (device.previous_sibling("console")) note("console", device);
            return;
        }
        const bool one_is_ours = name == "disk" || name == "interface" || name == "serial";
        if (one_is_ours && !device.previous_sibling(device.name())) return;
        if (device == seed()) return;
        note(std::string(name), device);
    }

    static bool is_usb(xml_node input) { return input.attribute("bus").value() == std::string_view("usb"); }

    /// A label of libvirt's own making is dynamic; one by hand may take the guest out of its confinement.
    void read_label(xml_node label) {
        const std::string_view type = label.attribute("type").as_string("dynamic");
        const std::string_view model = label.attribute("model").value();
        if (type != "dynamic" && model != "none") note("seclabel " + std::string(type) + " " + std::string(model));
    }

    void note(const std::string& name, xml_node device = {}) {
        std::string what;
        for (const auto& [child, attributes] : {std::pair{"target", "dev"}, {"mac", "address"}, {"source", "dir"}})
            if (const std::string value = attribute(device, child, attributes); what.empty()) what = value;
        if (what.empty()) what = device.attribute("type").value();
        const std::string key = what.empty() ? name : fmt::format("{} {}", name, what);
        std::string unique = key;
        for (int again = 2; extra_.find(unique) != nullptr; ++again) unique = fmt::format("{} #{}", key, again);
        extra_.set(unique, "not in the spec");
    }

    xml_node domain_;
    xml_node devices_;
    View view_;
    Attributes hardware_;
    Branch extra_;
};

}  // namespace

std::string domain_xml(const Identity& identity, const Attributes& hardware) {
    return Writer(identity, hardware).write();
}

base::Result<DomainSeen> parse_domain(const std::string& xml, View view) {
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
    const xml_node domain = document.child("domain");
    if (!parsed || !domain)
        return base::fail({.attempt = "read what libvirt says of",
                           .object = "a virtual machine",
                           .cause = parsed ? "it is no <domain>" : parsed.description(),
                           .advice = "virsh dumpxml shows it; this may be a defect of libvirt"});
    return Reader(domain, view).read();
}

}  // namespace safe::libvirt
