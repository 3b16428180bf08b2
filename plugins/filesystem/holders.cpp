#include "plugins/filesystem/holders.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;

bool is_number(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// Directories of processes. What vanishes meanwhile is left out: it holds nothing any more.
std::vector<fs::path> processes(const fs::path& proc) {
    std::vector<fs::path> found;
    std::error_code ended;
    for (fs::directory_iterator it(proc, ended), end; !ended && it != end; it.increment(ended))
        if (is_number(it->path().filename())) found.push_back(it->path());
    std::ranges::sort(found, {}, [](const fs::path& path) { return std::stoul(path.filename()); });
    return found;
}

std::string name_of(const fs::path& process) {
    std::ifstream comm(process / "comm");
    std::string name;
    std::getline(comm, name);
    return fmt::format("process {} ({})", process.filename().string(), name.empty() ? "?" : name);
}

/// Asks only for what the kernel knows already: a dead file server must not stop us.
bool lies_on(const fs::path& link, dev_t device) {
    struct statx status{};
    if (::statx(AT_FDCWD, link.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0) return false;
    return makedev(status.stx_dev_major, status.stx_dev_minor) == device;
}

bool has_open(const fs::path& process, dev_t device) {
    std::error_code ended;
    for (fs::directory_iterator it(process / "fd", ended), end; !ended && it != end; it.increment(ended))
        if (lies_on(it->path(), device)) return true;
    return false;
}

/// Lines of /proc/PID/maps have the device in their fourth field, as "fd:02".
bool has_mapped(const fs::path& process, dev_t device) {
    const std::string wanted = fmt::format("{:02x}:{:02x}", major(device), minor(device));
    std::ifstream maps(process / "maps");
    for (std::string line; std::getline(maps, line);) {
        std::istringstream fields(line);
        std::string range;
        std::string rights;
        std::string offset;
        std::string where;
        fields >> range >> rights >> offset >> where;
        if (where == wanted) return true;
    }
    return false;
}

/// The third field of a line of mountinfo is the device, as "253:2".
bool has_mounted(const fs::path& process, dev_t device) {
    const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
    std::ifstream mountinfo(process / "mountinfo");
    for (std::string line; std::getline(mountinfo, line);) {
        std::istringstream fields(line);
        std::string id;
        std::string parent;
        std::string where;
        fields >> id >> parent >> where;
        if (where == wanted) return true;
    }
    return false;
}

std::string whole(const fs::path& file) {
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

/// `address: "10.77.0.20:845"` of a client's info, without the port.
std::string address_of(const std::string& info) {
    const std::string key = "address: \"";
    const auto at = info.find(key);
    if (at == std::string::npos) return "?";
    const auto start = at + key.size();
    const std::string address = info.substr(start, info.find('"', start) - start);
    return address.substr(0, address.rfind(':'));
}

}  // namespace

std::vector<std::string> processes_on(dev_t device, const fs::path& proc) {
    std::vector<std::string> found;
    for (const fs::path& process : processes(proc))
        if (lies_on(process / "cwd", device) || lies_on(process / "root", device) || has_open(process, device) ||
            has_mapped(process, device))
            found.push_back(name_of(process));
    return found;
}

std::vector<std::string> namespaces_with(dev_t device, const fs::path& proc) {
    std::error_code error;
    std::set<fs::path> seen{fs::read_symlink(proc / "self/ns/mnt", error)};
    std::vector<std::string> found;
    for (const fs::path& process : processes(proc)) {
        const fs::path inside = fs::read_symlink(process / "ns/mnt", error);
        if (error || !seen.insert(inside).second) continue;
        if (has_mounted(process, device)) found.push_back("the mount namespace of " + name_of(process));
    }
    return found;
}

std::vector<std::string> nfs_clients_on(dev_t device, const fs::path& proc) {
    const std::string wanted = fmt::format("superblock: \"{:02x}:{:02x}:", major(device), minor(device));
    std::vector<std::string> found;
    std::error_code error;
    for (fs::directory_iterator it(proc / "fs/nfsd/clients", error), end; !error && it != end; it.increment(error))
        if (whole(it->path() / "states").find(wanted) != std::string::npos)
            found.push_back("the NFS client " + address_of(whole(it->path() / "info")));
    std::ranges::sort(found);
    return found;
}

}  // namespace safe::filesystem
