// The real Api, over libvirt's C library. Connects at the first call and again whenever the connection was lost, so
// that libvirtd may be restarted at any time; the call that finds it lost fails. A libvirtd that hangs makes the call
// hang: libvirt's keepalive needs an event loop, and a process has only one, which is the daemon's to bring.
#pragma once

#include <memory>
#include <string>

#include "plugins/libvirt/libvirt_api.hpp"

namespace safe::libvirt {

/// `uri` as libvirt knows it (https://libvirt.org/uri.html): qemu:///system, xen:///system, test:///default. Does not
/// connect yet.
[[nodiscard]] std::shared_ptr<Api> make_libvirt_api(std::string uri);

}  // namespace safe::libvirt
