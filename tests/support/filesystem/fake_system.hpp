// Devices, file systems and mounts in memory. What lies in a file system is moved into the mount point while it is
// mounted, and kept on a shelf else.
// tests/contract/filesystem holds it to what the real ones do. `killed_at` plays a process that dies: the call with
// that number throws, before or after it had its effect. Not for more than one thread.
#pragma once

#include <sys/sysmacros.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "plugins/filesystem/filesystem_api.hpp"

namespace safe::test {

struct Killed : std::runtime_error {
    Killed() : std::runtime_error("killed") {}
};

class FakeSystem final : public filesystem::Api {
 public:
    using Content = filesystem::Content;
    using MountEntry = filesystem::MountEntry;

    struct Device {
        dev_t number = 0;
        Content content = {};
        bool sound = true;
        bool used = false;  // was mounted so that it could be written
        bool write_protected = false;
        std::string label = {};
        bool suspended = false;
        bool shut_down = false;  // its file system, until it is mounted anew
    };

    explicit FakeSystem(std::filesystem::path shelf) : shelf_(std::move(shelf)) {}

    std::map<std::filesystem::path, Device> devices;
    std::vector<MountEntry> entries;
    std::map<dev_t, std::vector<std::string>> held;       // by processes and NFS clients
    std::map<dev_t, std::vector<std::string>> elsewhere;  // by other mount namespaces
    bool host_namespace = true;
    filesystem::Space room{.size = 1000, .free = 900, .inodes = 1000, .free_inodes = 900};
    std::optional<base::Error> blind = std::nullopt;  // mounts cannot be listed
    int makes = 0;
    int used_lost = 0;  // file systems that somebody had used and that were made anew

    int killed_at = -1;
    bool killed_after = false;
    int calls = 0;

    base::Result<std::vector<MountEntry>> mounts() override {
        if (blind) return base::fail(*blind);
        return entries;
    }
    base::Result<bool> in_hosts_namespace() override { return host_namespace; }
    base::Result<std::optional<dev_t>> device_of(const std::filesystem::path& path) override {
        const auto found = devices.find(path);
        if (found == devices.end()) return std::nullopt;
        return found->second.number;
    }
    base::Result<bool> suspended(dev_t device) override {
        return std::ranges::any_of(
            devices, [&](const auto& entry) { return entry.second.number == device && entry.second.suspended; });
    }
    base::Result<Content> content(const std::filesystem::path& device) override {
        const auto found = devices.find(device);
        if (found == devices.end()) return base::fail({"look for a file system on", device.string(), "none", "look"});
        return found->second.content;
    }
    base::Result<std::string> start_of(const std::filesystem::path& device, std::size_t size) override {
        const Device& it = devices.at(device);
        std::string bytes(size, '\0');
        if (it.content.name == "ext4") {
            bytes.replace(1024 + 0x38, 2, "\x53\xEF");
            if (it.used) bytes[1024 + 0x34] = 1;
        }
        if (it.content.name == "xfs") {
            bytes.replace(0, 4, "XFSB");
            bytes[126] = it.sound ? '\0' : '\1';
        }
        return bytes;
    }
    base::Result<void> make(const std::string& type, const std::filesystem::path& device, const std::string& label,
                            bool again) override {
        const Fate fate(*this);
        Device& it = devices.at(device);
        if (it.content.what != Content::What::nothing && !again)
            return base::fail({"make a file system on", device.string(), "there is one", "look"});
        ++makes;
        if (it.used) ++used_lost;
        const bool half = fate.killed_here();
        it.content = {Content::What::filesystem, type};
        it.sound = !half;
        it.label = label;
        std::filesystem::remove_all(on_shelf(it.number));
        return {};
    }
    base::Result<void> check(const std::string& type, const std::filesystem::path& device) override {
        const Fate fate(*this);
        if (type != "ext4" || devices.at(device).sound) return {};
        return base::fail({"check the file system on", device.string(), "e2fsck ended with 4", "repair it"});
    }
    base::Result<void> mount(const std::filesystem::path& device, const std::filesystem::path& target,
                             const std::string& type, bool read_only) override {
        const Fate fate(*this);
        Device& it = devices.at(device);
        if (it.content.name != type || !it.sound || (it.write_protected && !read_only))
            return base::fail({"mount", device.string(), "wrong file system", "look"});
        it.used = it.used || !read_only;
        it.shut_down = false;
        move_all(on_shelf(it.number), target);
        entries.push_back({.source = device.string(),
                           .device = it.number,
                           .target = target,
                           .type = type,
                           .read_only = read_only,
                           .nodev = true,
                           .nosuid = true,
                           .noexec = true,
                           .peer_group = 7});
        return {};
    }
    base::Result<filesystem::Unmounted> unmount(const std::filesystem::path& target) override {
        const Fate fate(*this);
        const auto last = std::find_if(entries.rbegin(), entries.rend(),
                                       [&](const MountEntry& entry) { return entry.target == target; });
        if (last == entries.rend()) return base::fail({"unmount", target.string(), "Invalid argument", "look"});
        const bool below = std::ranges::any_of(entries, [&](const MountEntry& entry) {
            return entry.target != target && entry.target.string().starts_with(target.string() + "/");
        });
        if (below || !held[last->device].empty()) return filesystem::Unmounted::busy;
        move_all(target, on_shelf(last->device));
        entries.erase(std::next(last).base());
        return filesystem::Unmounted::done;
    }
    base::Result<void> gather(const std::filesystem::path& directory) override {
        const Fate fate(*this);
        const bool there = std::ranges::any_of(entries, [&](const MountEntry& e) { return e.target == directory; });
        if (!there) entries.push_back({.source = "/dev/root", .target = directory, .type = "ext4", .peer_group = 9});
        return {};
    }
    base::Result<std::vector<std::string>> holders(dev_t device) override {
        std::vector<std::string> all = held[device];
        all.insert(all.end(), elsewhere[device].begin(), elsewhere[device].end());
        return all;
    }
    base::Result<std::vector<std::string>> other_namespaces(dev_t device) override { return elsewhere[device]; }
    base::Result<bool> shut_down(const std::filesystem::path& target) override {
        const auto last = std::find_if(entries.rbegin(), entries.rend(),
                                       [&](const MountEntry& entry) { return entry.target == target; });
        return std::ranges::any_of(devices, [&](const auto& entry) {
            return last != entries.rend() && entry.second.number == last->device && entry.second.shut_down;
        });
    }
    base::Result<filesystem::Space> space(const std::filesystem::path& /*target*/) override { return room; }

 private:
    [[nodiscard]] std::filesystem::path on_shelf(dev_t number) const { return shelf_ / std::to_string(number); }

    static void move_all(const std::filesystem::path& from, const std::filesystem::path& to) {
        std::filesystem::create_directories(to);
        std::filesystem::create_directories(from);
        for (const auto& entry : std::filesystem::directory_iterator(from))
            std::filesystem::rename(entry.path(), to / entry.path().filename());
        std::filesystem::permissions(to, std::filesystem::status(from).permissions());
        std::filesystem::permissions(from, std::filesystem::perms(0755));
    }

    std::filesystem::path shelf_;

    /// Dies when the call begins, or when it has had its effect.
    class Fate {
     public:
        explicit Fate(FakeSystem& system) : system_(system), mine_(system.calls++ == system.killed_at) {
            if (mine_ && !system_.killed_after) throw Killed();
        }
        Fate(const Fate&) = delete;
        Fate& operator=(const Fate&) = delete;
        Fate(Fate&&) = delete;
        Fate& operator=(Fate&&) = delete;
        ~Fate() noexcept(false) {
            if (mine_ && system_.killed_after) throw Killed();
        }
        [[nodiscard]] bool killed_here() const { return mine_; }

     private:
        FakeSystem& system_;
        bool mine_;
    };
};

}  // namespace safe::test
