#include "plugins/nfs/served_address.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "reconciler/base/file.hpp"

namespace safe::nfs {

using base::fail;
using base::Result;

namespace {

constexpr std::size_t limit = 64;  // an address and a line break are shorter

}  // namespace

Result<std::string> ServedAddress::read() const {
    struct stat status{};
    if (::lstat(file_.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::string();
        return fail({"look at", file_.string(), base::errno_text(errno), "run as root"});
    }
    auto text = base::read_file(file_, limit);
    if (text && text->ends_with('\n')) text->pop_back();
    return text;
}

Result<void> ServedAddress::keep(const std::string& address) const {
    const auto before = read();
    if (!before) return fail(before.error());
    if (*before == address) return {};
    std::error_code error;
    std::filesystem::create_directories(file_.parent_path(), error);
    if (error) return fail({"make", file_.parent_path().string(), error.message(), "run as root"});
    return base::replace_file(file_, address + "\n", 0644);
}

Result<void> ServedAddress::forget() const {
    if (::unlink(file_.c_str()) != 0 && errno != ENOENT)
        return fail({"remove", file_.string(), base::errno_text(errno), "run as root"});
    return {};
}

}  // namespace safe::nfs
