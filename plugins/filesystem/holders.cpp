#include "plugins/filesystem/holders.hpp"

#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

#include "reconciler/base/paths.hpp"

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

/// A process's mounts of the device, of its mountinfo: fields 1 (id), 3 (device, as "253:2") and 5 (where).
struct Mounts {
    std::set<std::string> ids = {};
    std::vector<fs::path> targets = {};
};

Mounts mounts_of(const fs::path& process, dev_t device) {
    const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
    Mounts found;
    std::ifstream mountinfo(process / "mountinfo");
    for (std::string line; std::getline(mountinfo, line);) {
        std::istringstream fields(line);
        std::array<std::string, 5> field;
        for (std::string& one : field) fields >> one;
        if (field[2] != wanted) continue;
        found.ids.insert(field[0]);
        found.targets.emplace_back(field[4]);
    }
    return found;
}

/// Of the link's text alone. Looking at what a link in /proc points to asks a file server, which may be dead.
bool points_into(const fs::path& link, const Mounts& mounts) {
    std::error_code ended;
    const fs::path text = fs::read_symlink(link, ended);
    return !ended &&
           std::ranges::any_of(mounts.targets, [&](const fs::path& target) { return base::lies_in(text, target); });
}

/// Each file's information says on which mount it is ("mnt_id: 29").
bool has_open(const fs::path& process, const Mounts& mounts) {
    std::error_code ended;
    for (fs::directory_iterator it(process / "fdinfo", ended), end; !ended && it != end; it.increment(ended)) {
        std::ifstream information(it->path());
        for (std::string key, value; information >> key >> value;)
            if (key == "mnt_id:") {
                if (mounts.ids.contains(value)) return true;
                break;
            }
    }
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

std::string whole(const fs::path& file) {
    const std::ifstream stream(file);
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
    for (const fs::path& process : processes(proc)) {
        const Mounts mounts = mounts_of(process, device);
        if (points_into(process / "cwd", mounts) || points_into(process / "root", mounts) ||
            has_open(process, mounts) || has_mapped(process, device))
            found.push_back(name_of(process));
    }
    return found;
}

std::vector<std::string> namespaces_with(dev_t device, const fs::path& proc) {
    std::error_code error;
    std::set<fs::path> seen{fs::read_symlink(proc / "self/ns/mnt", error)};
    std::vector<std::string> found;
    for (const fs::path& process : processes(proc)) {
        const fs::path inside = fs::read_symlink(process / "ns/mnt", error);
        if (error || !seen.insert(inside).second) continue;
        if (!mounts_of(process, device).ids.empty()) found.push_back("the mount namespace of " + name_of(process));
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
