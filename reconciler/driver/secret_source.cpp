#include "reconciler/driver/secret_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "reconciler/base/file_descriptor.hpp"

namespace safe::driver {
namespace {

constexpr std::size_t size_limit = 4096;

std::unexpected<base::Error> unreadable(const specs::SecretRef& reference, std::string cause, std::string advice) {
    return base::fail({.attempt = "read the secret in",
                       .object = to_text(reference),
                       .cause = std::move(cause),
                       .advice = std::move(advice)});
}

}  // namespace

base::Result<base::Secret> read_secret(const specs::SecretRef& reference) {
    std::string path = reference.name;
    if (reference.kind == specs::SecretRef::Kind::credential) {
        const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
        if (directory == nullptr)
            return unreadable(reference, "systemd passed no credentials to this program",
                              "start it from its unit, or refer to a file");
        path = std::string(directory) + "/" + reference.name;
    }
    const base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) return unreadable(reference, base::errno_text(errno), "make it, owner root and mode 0600");
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return unreadable(reference, base::errno_text(errno), "");
    if (!S_ISREG(status.st_mode)) return unreadable(reference, "it is not a regular file", "put the secret in a file");
    // systemd gives a credential to the unit's user, mode 0400, in a directory that nobody else enters.
    if (reference.kind == specs::SecretRef::Kind::file) {
        if (status.st_uid != 0) return unreadable(reference, "it does not belong to root", "chown root " + path);
        if ((status.st_mode & 077U) != 0)
            return unreadable(reference, "others than its owner may use it", "chmod 0600 " + path);
    }
    base::Result<base::Secret> secret = base::Secret::read_from(file.get(), size_limit);
    if (!secret) return unreadable(reference, secret.error().cause, secret.error().advice);
    if (secret->empty()) return unreadable(reference, "it is empty", "write the secret into it");
    return secret;
}

}  // namespace safe::driver
