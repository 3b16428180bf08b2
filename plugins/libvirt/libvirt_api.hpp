// Api: the little that the drivers here need of libvirt, in its words and without its headers. The real one is made by
// libvirt_lib.hpp; tests decorate it. Every call may be made from several threads at once, blocks until libvirt
// answers, and tells a thing that is not there (nullopt) from one that could not be looked at (an Error with libvirt's
// own words). A virtual machine is named by its UUID, a network by its name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/result.hpp"

namespace safe::libvirt {

/// What the other end of the connection is.
struct Host {
    std::string type;                        // the best <domain type=…> it offers: kvm, qemu, xen, lxc, test
    std::vector<std::string> warnings = {};  // "no KVM here: guests are emulated"
};

enum class View {
    definition,  // what the next start will use
    live,        // what runs; for a machine that does not run, its definition
};

struct Domain {
    std::string name;
    std::string uuid;
    bool active = false;  // running or paused
    bool paused = false;
    bool persistent = false;  // has a definition
    bool autostart = false;   // libvirt starts it with the host
    std::string xml = {};
    bool operator==(const Domain&) const = default;
};

struct Network {
    std::string name;
    bool active = false;
    bool persistent = false;  // has a definition
    bool autostart = false;
    std::string definition = {};  // XML; without a definition what runs
    std::string live = {};        // XML of what runs; empty when nothing does
};

/// One element below <metadata>, known by the URI of its namespace. libvirt keeps one for each URI.
struct Metadata {
    std::string uri;
    std::string prefix;
    std::optional<std::string> xml;  // without xmlns; nullopt takes the element away
};

enum class Affect { live, definition };

enum class Which { all, active };

enum class Edit { add, remove };

class Api {
 public:
    Api() = default;
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;
    Api(Api&&) = delete;
    Api& operator=(Api&&) = delete;
    virtual ~Api() = default;

    [[nodiscard]] virtual base::Result<Host> host() = 0;

    // --- virtual machines
    /// Every one there is, or those that run or are paused.
    [[nodiscard]] virtual base::Result<std::vector<Domain>> domains(View view, Which which) = 0;
    [[nodiscard]] virtual base::Result<std::optional<Domain>> domain_named(const std::string& name, View view) = 0;
    [[nodiscard]] virtual base::Result<std::optional<Domain>> domain_with(const std::string& uuid, View view) = 0;

    /// Makes or replaces the definition with the UUID in `xml`; what runs goes on as it is.
    [[nodiscard]] virtual base::Result<void> define_domain(const std::string& xml) = 0;
    [[nodiscard]] virtual base::Result<void> set_autostart(const std::string& uuid, bool on) = 0;
    [[nodiscard]] virtual base::Result<void> set_metadata(const std::string& uuid, const Metadata& metadata,
                                                          Affect affect) = 0;

    [[nodiscard]] virtual base::Result<void> start(const std::string& uuid) = 0;
    /// Presses the power button: returns at once, and the guest may never react.
    [[nodiscard]] virtual base::Result<void> press_power_button(const std::string& uuid) = 0;
    /// Pulls the plug.
    [[nodiscard]] virtual base::Result<void> cut_power(const std::string& uuid) = 0;
    [[nodiscard]] virtual base::Result<void> pause(const std::string& uuid) = 0;
    [[nodiscard]] virtual base::Result<void> resume(const std::string& uuid) = 0;

    /// Writes the guest's memory to a file, which is overwritten, and switches it off; an error leaves it as it was.
    /// Nothing is flushed to the medium. abort_job from another thread makes it fail.
    [[nodiscard]] virtual base::Result<void> save(const std::string& uuid, const std::string& file) = 0;
    /// Breaks off what is being done to the guest (a save); an Error when nothing is.
    [[nodiscard]] virtual base::Result<void> abort_job(const std::string& uuid) = 0;
    /// Starts the guest that was saved there, paused. The file stays as it is.
    [[nodiscard]] virtual base::Result<void> restore(const std::string& file) = 0;
    /// The definition that a saved guest was running with; an Error for what is no saved state, or not a whole one.
    [[nodiscard]] virtual base::Result<std::string> saved_definition(const std::string& file) = 0;

    /// Asks the balloon of the running guest; the guest gives or takes in its own time.
    [[nodiscard]] virtual base::Result<void> set_memory(const std::string& uuid, std::uint64_t bytes) = 0;
    [[nodiscard]] virtual base::Result<void> set_cpus(const std::string& uuid, unsigned count) = 0;
    /// Tells the running guest that its disk (the path of its file) has a new size, and gives it that size.
    [[nodiscard]] virtual base::Result<void> resize_disk(const std::string& uuid, const std::string& file,
                                                         std::uint64_t bytes) = 0;

    // --- networks
    [[nodiscard]] virtual base::Result<std::vector<Network>> networks() = 0;
    [[nodiscard]] virtual base::Result<void> define_network(const std::string& xml) = 0;
    [[nodiscard]] virtual base::Result<void> start_network(const std::string& name) = 0;
    [[nodiscard]] virtual base::Result<void> stop_network(const std::string& name) = 0;
    [[nodiscard]] virtual base::Result<void> set_network_autostart(const std::string& name, bool on) = 0;
    /// Of the running network alone. `host` is a <host> element of <dhcp>: adding one that shares a name, mac or
    /// address with another fails; removing takes the one that is equal in all three.
    [[nodiscard]] virtual base::Result<void> edit_reservation(const std::string& name, Edit edit,
                                                              const std::string& host) = 0;
};

}  // namespace safe::libvirt
