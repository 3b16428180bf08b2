#include "plugins/libvirt/libvirt_lib.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <utility>

#include "plugins/libvirt/errors.hpp"
#include "reconciler/base/unique_handle.hpp"

namespace safe::libvirt {
namespace {

using base::Error;
using base::Result;

struct Freer {
    void operator()(void* memory) const noexcept { std::free(memory); }  // NOLINT(*-no-malloc): libvirt's, by contract
};
using Text = std::unique_ptr<char, Freer>;
using DomainHandle = base::UniqueHandle<virDomain, virDomainFree>;
using NetworkHandle = base::UniqueHandle<virNetwork, virNetworkFree>;
using Connection = std::shared_ptr<virConnect>;

/// libvirt writes to a socket whose other end may be gone; that must be an error of the call, not the end of the
/// process.
class WithoutSigpipe {
 public:
    WithoutSigpipe() {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
    WithoutSigpipe(WithoutSigpipe&&) = delete;
    WithoutSigpipe& operator=(WithoutSigpipe&&) = delete;
    ~WithoutSigpipe() {
        if (::sigismember(&before_, SIGPIPE) == 1) return;
        const timespec at_once{};
        while (::sigtimedwait(&pipe_, nullptr, &at_once) == SIGPIPE) continue;
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

 private:
    sigset_t pipe_{};
    sigset_t before_{};
};

unsigned flags_of(Affect affect) {
    return affect == Affect::live ? static_cast<unsigned>(VIR_DOMAIN_AFFECT_LIVE)
                                  : static_cast<unsigned>(VIR_DOMAIN_AFFECT_CONFIG);
}

/// Asks libvirt for a list of handles; each is owned by the result.
template <class Handle, class Ask>
Result<std::vector<Handle>> list(const char* attempt, Ask ask) {
    typename Handle::pointer* handles = nullptr;
    const int count = ask(&handles);
    if (count < 0) return base::fail(failure(attempt, ""));
    const std::unique_ptr<typename Handle::pointer, Freer> array(handles);
    std::vector<Handle> owned;
    owned.reserve(static_cast<std::size_t>(count));
    for (const auto handle : std::span(handles, static_cast<std::size_t>(count))) owned.emplace_back(handle);
    return owned;
}

class LibvirtApi final : public Api {
 public:
    explicit LibvirtApi(std::string uri) : uri_(std::move(uri)) {
        // libvirt would otherwise print every error to standard error, beside ours.
        virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    }

    Result<Host> host() override {
        return with_connection<Host>([&](virConnectPtr connection) -> Result<Host> {
            const char* type = virConnectGetType(connection);
            if (type == nullptr) return base::fail(failure("ask the type of the hypervisor at", uri_));
            const std::string_view name(type);
            if (name == "QEMU") return qemu_host(connection);
            if (name == "Xen") return Host{"xen"};
            if (name == "LXC") return Host{"lxc"};
            if (name == "TEST") return Host{"test"};
            return base::fail({.attempt = "use the hypervisor at",
                               .object = uri_,
                               .cause = "it is of type " + std::string(name),
                               .advice = "QEMU, Xen, LXC and libvirt's test driver are known",
                               .kind = Error::Kind::refused});
        });
    }

    Result<std::vector<Domain>> domains(View view, Which which) override {
        return with_connection<std::vector<Domain>>([&](virConnectPtr connection) -> Result<std::vector<Domain>> {
            const unsigned filter = which == Which::active ? unsigned{VIR_CONNECT_LIST_DOMAINS_ACTIVE} : 0U;
            const auto handles = list_domains(connection, filter);
            if (!handles) return base::fail(handles.error());
            // Asked once for all: of a thousand machines, each question to each costs as much as its whole description.
            std::map<unsigned, std::set<std::string>> having;
            for (const unsigned property : {VIR_CONNECT_LIST_DOMAINS_ACTIVE, VIR_CONNECT_LIST_DOMAINS_PAUSED,
                                            VIR_CONNECT_LIST_DOMAINS_PERSISTENT, VIR_CONNECT_LIST_DOMAINS_AUTOSTART}) {
                const auto those = list_domains(connection, property);
                if (!those) return base::fail(those.error());
                for (const DomainHandle& handle : *those) having[property].insert(uuid_of(handle.get()));
            }
            std::vector<Domain> found;
            found.reserve(handles->size());
            for (const DomainHandle& handle : *handles) {
                Domain domain = named(handle.get());
                domain.active = having[VIR_CONNECT_LIST_DOMAINS_ACTIVE].contains(domain.uuid);
                domain.paused = having[VIR_CONNECT_LIST_DOMAINS_PAUSED].contains(domain.uuid);
                domain.persistent = having[VIR_CONNECT_LIST_DOMAINS_PERSISTENT].contains(domain.uuid);
                domain.autostart = having[VIR_CONNECT_LIST_DOMAINS_AUTOSTART].contains(domain.uuid);
                Result<std::optional<Domain>> described = with_xml(handle.get(), std::move(domain), view);
                if (!described) return base::fail(described.error());
                if (*described) found.push_back(std::move(**described));
            }
            return found;
        });
    }

    Result<std::optional<Domain>> domain_named(const std::string& name, View view) override {
        return with_connection<std::optional<Domain>>([&](virConnectPtr connection) {
            return found(DomainHandle(virDomainLookupByName(connection, name.c_str())), name, view);
        });
    }

    Result<std::optional<Domain>> domain_with(const std::string& uuid, View view) override {
        return with_connection<std::optional<Domain>>([&](virConnectPtr connection) {
            return found(DomainHandle(virDomainLookupByUUIDString(connection, uuid.c_str())), uuid, view);
        });
    }

    Result<void> define_domain(const std::string& xml) override {
        return with_connection<void>([&](virConnectPtr connection) -> Result<void> {
            const DomainHandle domain(virDomainDefineXML(connection, xml.c_str()));
            if (!domain) return base::fail(failure("define the virtual machine", ""));
            return {};
        });
    }

    Result<void> set_autostart(const std::string& uuid, bool on) override {
        return on_domain(uuid, "set the autostart of",
                         [&](virDomainPtr d) { return virDomainSetAutostart(d, on ? 1 : 0); });
    }

    Result<void> set_metadata(const std::string& uuid, const Metadata& metadata, Affect affect) override {
        return on_domain(uuid, "mark", [&](virDomainPtr d) {
            const int done =
                virDomainSetMetadata(d, VIR_DOMAIN_METADATA_ELEMENT, metadata.xml ? metadata.xml->c_str() : nullptr,
                                     metadata.prefix.c_str(), metadata.uri.c_str(), flags_of(affect));
            const bool nothing_to_take_away = done < 0 && !metadata.xml && last_code() == VIR_ERR_NO_DOMAIN_METADATA;
            return nothing_to_take_away ? 0 : done;
        });
    }

    Result<void> start(const std::string& uuid) override {
        return bring(uuid, "start", virDomainCreate, VIR_DOMAIN_RUNNING);
    }
    Result<void> press_power_button(const std::string& uuid) override {
        return on_domain(uuid, "shut down", virDomainShutdown);
    }
    Result<void> cut_power(const std::string& uuid) override { return on_domain(uuid, "switch off", virDomainDestroy); }
    Result<void> pause(const std::string& uuid) override {
        return bring(uuid, "pause", virDomainSuspend, VIR_DOMAIN_PAUSED);
    }
    Result<void> resume(const std::string& uuid) override {
        return bring(uuid, "resume", virDomainResume, VIR_DOMAIN_RUNNING);
    }

    Result<void> save(const std::string& uuid, const std::string& file) override {
        return on_domain(uuid, "save the memory of", [&](virDomainPtr domain) {
            return virDomainSaveFlags(domain, file.c_str(), nullptr, VIR_DOMAIN_SAVE_PAUSED);
        });
    }

    Result<void> abort_job(const std::string& uuid) override {
        return on_domain(uuid, "break off what is done to", virDomainAbortJob);
    }

    Result<void> restore(const std::string& file) override {
        return with_connection<void>([&](virConnectPtr connection) -> Result<void> {
            if (virDomainRestoreFlags(connection, file.c_str(), nullptr, VIR_DOMAIN_SAVE_PAUSED) < 0)
                return base::fail(failure("restore the virtual machine saved in", file));
            return {};
        });
    }

    Result<std::string> saved_definition(const std::string& file) override {
        return with_connection<std::string>([&](virConnectPtr connection) -> Result<std::string> {
            const Text xml(virDomainSaveImageGetXMLDesc(connection, file.c_str(), 0));
            if (!xml) return base::fail(failure("read the saved memory", file));
            return std::string(xml.get());
        });
    }

    Result<void> set_memory(const std::string& uuid, std::uint64_t bytes) override {
        return on_domain(uuid, "set the memory of", [&](virDomainPtr d) {
            return virDomainSetMemoryFlags(d, static_cast<unsigned long>(bytes / 1024), VIR_DOMAIN_AFFECT_LIVE);
        });
    }

    Result<void> set_cpus(const std::string& uuid, unsigned count) override {
        return on_domain(uuid, "set the CPUs of",
                         [&](virDomainPtr d) { return virDomainSetVcpusFlags(d, count, VIR_DOMAIN_AFFECT_LIVE); });
    }

    Result<void> resize_disk(const std::string& uuid, const std::string& file, std::uint64_t bytes) override {
        return on_domain(uuid, "resize the disk of", [&](virDomainPtr d) {
            return virDomainBlockResize(d, file.c_str(), bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES);
        });
    }

    Result<std::vector<Network>> networks() override {
        return with_connection<std::vector<Network>>([&](virConnectPtr connection) -> Result<std::vector<Network>> {
            auto handles = list<NetworkHandle>("list the networks", [&](virNetworkPtr** out) {
                return virConnectListAllNetworks(connection, out, 0);
            });
            if (!handles) return base::fail(handles.error());
            std::vector<Network> found;
            for (const NetworkHandle& handle : *handles) {
                Result<std::optional<Network>> network = describe(handle.get());
                if (!network) return base::fail(network.error());
                if (*network) found.push_back(std::move(**network));
            }
            return found;
        });
    }

    Result<void> define_network(const std::string& xml) override {
        return with_connection<void>([&](virConnectPtr connection) -> Result<void> {
            const NetworkHandle network(virNetworkDefineXML(connection, xml.c_str()));
            if (!network) return base::fail(failure("define the network", ""));
            return {};
        });
    }

    Result<void> start_network(const std::string& name) override { return on_network(name, "start", virNetworkCreate); }
    Result<void> stop_network(const std::string& name) override { return on_network(name, "stop", virNetworkDestroy); }
    Result<void> set_network_autostart(const std::string& name, bool on) override {
        return on_network(name, "set the autostart of",
                          [&](virNetworkPtr n) { return virNetworkSetAutostart(n, on ? 1 : 0); });
    }
    Result<void> edit_reservation(const std::string& name, Edit edit, const std::string& host) override {
        return on_network(name, "change the DHCP reservations of", [&](virNetworkPtr n) {
            const unsigned command =
                edit == Edit::add ? VIR_NETWORK_UPDATE_COMMAND_ADD_LAST : VIR_NETWORK_UPDATE_COMMAND_DELETE;
            return virNetworkUpdate(n, command, VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, host.c_str(),
                                    VIR_NETWORK_UPDATE_AFFECT_LIVE);
        });
    }

 private:
    /// Calls with a connection that was alive a moment ago; forgets it when the call found it dead.
    template <class T, class Call>
    Result<T> with_connection(Call call) {
        const WithoutSigpipe quiet;
        const Result<Connection> connection = connected();
        if (!connection) return base::fail(connection.error());
        Result<T> result = call(connection->get());
        if (!result && virConnectIsAlive(connection->get()) != 1) {
            const std::scoped_lock lock(mutex_);
            if (connection_ == *connection) connection_.reset();
        }
        return result;
    }

    Result<Connection> connected() {
        const std::scoped_lock lock(mutex_);
        if (connection_ == nullptr) {
            // Closed by whoever holds it last: a call of another thread may still be under way.
            connection_ = Connection(virConnectOpen(uri_.c_str()), [](virConnectPtr handle) {
                const WithoutSigpipe quiet;
                if (handle != nullptr) virConnectClose(handle);
            });
            if (connection_ == nullptr) return base::fail(connect_failure(uri_));
        }
        return connection_;
    }

    /// KVM when the host offers it, else emulation, said aloud.
    static Result<Host> qemu_host(virConnectPtr connection) {
        if (const Text kvm(virConnectGetDomainCapabilities(connection, nullptr, nullptr, nullptr, "kvm", 0)); kvm)
            return Host{"kvm"};
        if (const Text emulated(virConnectGetDomainCapabilities(connection, nullptr, nullptr, nullptr, "qemu", 0));
            !emulated)
            return base::fail(failure("ask what the hypervisor can run", ""));
        return Host{"qemu", {"no KVM on the hypervisor: guests are emulated, and slow"}};
    }

    static bool is_gone(int code) { return code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_NO_NETWORK; }

    static Result<std::optional<Domain>> found(const DomainHandle& handle, const std::string& name, View view) {
        if (handle) return describe(handle.get(), view);
        if (is_gone(last_code())) return std::nullopt;
        return base::fail(failure("look up the virtual machine", name));
    }

    static Result<std::vector<DomainHandle>> list_domains(virConnectPtr connection, unsigned filter) {
        return list<DomainHandle>("list the virtual machines", [&](virDomainPtr** out) {
            return virConnectListAllDomains(connection, out, filter);
        });
    }

    static std::string uuid_of(virDomainPtr handle) {
        std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
        return virDomainGetUUIDString(handle, uuid.data()) == 0 ? uuid.data() : "";
    }

    static Domain named(virDomainPtr handle) {
        const char* name = virDomainGetName(handle);
        return {.name = name != nullptr ? name : "", .uuid = uuid_of(handle)};
    }

    /// nullopt when it vanished while being looked at.
    static Result<std::optional<Domain>> look_failed(const Domain& domain) {
        if (is_gone(last_code())) return std::nullopt;
        return base::fail(failure("look at the virtual machine", domain.name));
    }

    static Result<std::optional<Domain>> describe(virDomainPtr handle, View view) {
        Domain domain = named(handle);
        int state = VIR_DOMAIN_NOSTATE;
        if (virDomainGetState(handle, &state, nullptr, 0) < 0) return look_failed(domain);
        domain.paused = state == VIR_DOMAIN_PAUSED;
        const int active = virDomainIsActive(handle);
        if (active < 0) return look_failed(domain);
        domain.active = active == 1;
        const int persistent = virDomainIsPersistent(handle);
        if (persistent < 0) return look_failed(domain);
        domain.persistent = persistent == 1;
        int autostart = 0;
        if (domain.persistent && virDomainGetAutostart(handle, &autostart) < 0) return look_failed(domain);
        domain.autostart = autostart == 1;
        return with_xml(handle, std::move(domain), view);
    }

    static Result<std::optional<Domain>> with_xml(virDomainPtr handle, Domain domain, View view) {
        const unsigned flags = view == View::definition && domain.persistent ? VIR_DOMAIN_XML_INACTIVE : 0;
        const Text xml(virDomainGetXMLDesc(handle, flags));
        if (!xml) return look_failed(domain);
        domain.xml = xml.get();
        return domain;
    }

    static Result<std::optional<Network>> describe(virNetworkPtr handle) {
        const char* name = virNetworkGetName(handle);
        Network network{.name = name != nullptr ? name : ""};
        const auto failed = [&]() -> Result<std::optional<Network>> {
            if (is_gone(last_code())) return std::nullopt;
            return base::fail(failure("look at the network", network.name));
        };
        const int active = virNetworkIsActive(handle);
        const int persistent = virNetworkIsPersistent(handle);
        if (active < 0 || persistent < 0) return failed();
        network.active = active == 1;
        network.persistent = persistent == 1;
        int autostart = 0;
        if (persistent == 1 && virNetworkGetAutostart(handle, &autostart) < 0) return failed();
        network.autostart = autostart == 1;
        Text definition(virNetworkGetXMLDesc(handle, persistent == 1 ? VIR_NETWORK_XML_INACTIVE : 0));
        // The test hypervisor has one description of a network only, and does not know the flag.
        if (!definition && last_code() == VIR_ERR_INVALID_ARG) definition.reset(virNetworkGetXMLDesc(handle, 0));
        if (!definition) return failed();
        network.definition = definition.get();
        if (network.active) {
            const Text live(virNetworkGetXMLDesc(handle, 0));
            if (!live) return failed();
            network.live = live.get();
        }
        return network;
    }

    template <class Call>
    Result<void> on_domain(const std::string& uuid, const char* attempt, Call call) {
        return with_connection<void>([&](virConnectPtr connection) -> Result<void> {
            const DomainHandle domain(virDomainLookupByUUIDString(connection, uuid.c_str()));
            if (!domain) return base::fail(failure(attempt, "the virtual machine " + uuid));
            const char* name = virDomainGetName(domain.get());  // asked first, because it clears the last error
            if (call(domain.get()) < 0)
                return base::fail(
                    failure(attempt, std::string("the virtual machine ") + (name != nullptr ? name : "")));
            return {};
        });
    }

    /// To be there already is success: libvirtd may still have been at work on the call of a run that was killed.
    Result<void> bring(const std::string& uuid, const char* attempt, int (*call)(virDomainPtr), int goal) {
        return on_domain(uuid, attempt, [&](virDomainPtr domain) {
            const int done = call(domain);
            if (done == 0) return done;
            int state = VIR_DOMAIN_NOSTATE;
            if (virDomainGetState(domain, &state, nullptr, 0) == 0 && state == goal) return 0;
            return call(domain);  // once more, for its own words: asking for the state has cleared them
        });
    }

    template <class Call>
    Result<void> on_network(const std::string& name, const char* attempt, Call call) {
        return with_connection<void>([&](virConnectPtr connection) -> Result<void> {
            const NetworkHandle network(virNetworkLookupByName(connection, name.c_str()));
            if (!network || call(network.get()) < 0) return base::fail(failure(attempt, "the network " + name));
            return {};
        });
    }

    const std::string uri_;
    std::mutex mutex_;
    Connection connection_;
};

}  // namespace

std::shared_ptr<Api> make_libvirt_api(std::string uri) { return std::make_shared<LibvirtApi>(std::move(uri)); }

}  // namespace safe::libvirt
