#include <libvirt/virterror.h>
#include <unistd.h>

#include "plugins/libvirt/errors.hpp"

namespace safe::libvirt {
namespace {

using base::Error;

std::string advice_for(int code) {
    switch (code) {
        case VIR_ERR_NO_SUPPORT:
        case VIR_ERR_CONFIG_UNSUPPORTED:
            return "this hypervisor cannot do that; leave it out, or use another";
        case VIR_ERR_AUTH_FAILED:
        case VIR_ERR_AUTH_CANCELLED:
        case VIR_ERR_AUTH_UNAVAILABLE:
        case VIR_ERR_ACCESS_DENIED:
            return "run it as root, or as a member of the group libvirt";
        case VIR_ERR_NO_MEMORY:
            return "free some memory on the hypervisor and apply again";
        case VIR_ERR_OPERATION_TIMEOUT:
            return "libvirt is busy with it; try again in a moment";
        default:
            return "";
    }
}

}  // namespace

int last_code() {
    const virErrorPtr error = virGetLastError();
    return error == nullptr ? VIR_ERR_OK : error->code;
}

Error failure(std::string attempt, std::string object) {
    const char* message = virGetLastErrorMessage();
    return {.attempt = std::move(attempt),
            .object = std::move(object),
            .cause = message != nullptr ? message : "libvirt gives no reason",
            .advice = advice_for(last_code())};
}

Error connect_failure(const std::string& uri) {
    Error error = failure("connect to libvirt at", uri);
    // Asked by somebody else, libvirt speaks of whatever it lacks to find out who they are.
    if (::geteuid() != 0 || error.cause.find("ermission denied") != std::string::npos)
        error.advice = "run it as root, or as a member of the group libvirt";
    else if (error.advice.empty())
        error.advice = "is libvirtd running? systemctl start libvirtd";
    return error;
}

}  // namespace safe::libvirt
