// The safe's bridge with its VMs played by network namespaces: real frames through the real kernel. Interfaces bear the
// names and addresses that specs/identity.hpp gives them. Everything vanishes with the process. Not for more than one
// thread.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "reconciler/base/error.hpp"
#include "specs/identity.hpp"
#include "specs/spec.hpp"

namespace safe::test {

inline void shell(const std::string& line) {
    // NOLINTNEXTLINE(cert-env33-c): every line is a constant of these tests
    if (std::system(line.c_str()) != 0) throw std::runtime_error("failed: " + line);
}

/// A file descriptor of this thread's network namespace. Inherited by the programs that it starts, so that they can
/// name it.
inline int own_namespace() { return open("/proc/thread-self/ns/net", O_RDONLY); }

class Lan {
 public:
    explicit Lan(const specs::SafeSpec& spec) : safe_(*spec.safe) {
        bridge(*spec.network->bridge, specs::mac_of(safe_, ""), to_text(*spec.network->address));
        for (const specs::VmSpec& vm : spec.vms)
            plug(vm.name, *spec.network->bridge, specs::tap_of(safe_, vm.name), specs::mac_of(safe_, vm.name),
                 to_text(**vm.address) + "/24");
    }

    void bridge(const std::string& name, const std::string& mac, const std::string& address) {
        shell("ip link add " + name + " address " + mac + " type bridge mcast_snooping 0 && ip address add " + address +
              " dev " + name + " && ip link set " + name + " up");
    }

    /// A host whose only way out is a port of the bridge.
    void plug(const std::string& host, const std::string& bridge, const std::string& port, const std::string& mac,
              const std::string& address) {
        const std::string peer = make_host(host);
        shell("ip link add " + port + " type veth peer name eth0 address " + mac + " netns " + peer +
              " && ip link set " + port + " master " + bridge + " up");
        in(host, [&] { shell("ip address add " + address + " dev eth0 && ip link set eth0 up"); });
    }

    /// A host behind another one, which forwards for it: a person at the end of the gateway's tunnel, narrower than the
    /// bridge.
    void behind(const std::string& router, const std::string& host, const std::string& inner,
                const std::string& address) {
        const std::string peer = make_host(host);
        in(router, [&] {
            shell(
                "echo 1 >/proc/sys/net/ipv4/ip_forward && ip link add tunnel mtu 1300 type veth peer name eth0 mtu "
                "1300 netns " +
                peer + " && ip address add " + inner + "/24 dev tunnel && ip link set tunnel up");
        });
        in(host, [&] {
            shell("ip address add " + address + "/24 dev eth0 && ip link set eth0 up && ip route add default via " +
                  inner);
        });
    }

    /// Runs `work` as that host would; what it throws is thrown here. "" is the hypervisor.
    void in(const std::string& host, const std::function<void()>& work) const {
        if (host.empty()) return work();
        std::exception_ptr thrown;
        std::thread([&] {
            try {
                if (setns(hosts_.at(host), CLONE_NEWNET) != 0)
                    throw std::runtime_error("setns: " + base::errno_text(errno));
                work();
            } catch (...) {
                thrown = std::current_exception();
            }
        }).join();
        if (thrown) std::rethrow_exception(thrown);
    }

 private:
    /// A path to its namespace, for ip.
    std::string make_host(const std::string& host) {
        int made = -1;
        std::thread([&] {
            if (unshare(CLONE_NEWNET) == 0) made = own_namespace();
        }).join();
        if (made < 0) throw std::runtime_error("no network namespace for " + host);
        hosts_[host] = made;
        in(host, [] { shell("ip link set lo up"); });
        return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(made);
    }

    std::string safe_;
    std::map<std::string, int> hosts_;
};

}  // namespace safe::test
