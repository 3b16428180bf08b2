// How a mount is made and taken away: the part of MountDriver that changes the world.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "plugins/filesystem/filesystem_driver.hpp"
#include "plugins/filesystem/mount_driver.hpp"

namespace safe::filesystem {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::fail;
using base::Result;
using model::Observation;
using model::Present;

// Labels: s_volume_name of ext4, sb_fname of xfs.
constexpr std::size_t longest_ext4_label = 16;
constexpr std::size_t longest_xfs_label = 12;

constexpr int busy_tries = 20;
constexpr std::chrono::milliseconds busy_pause{100};

}  // namespace

Result<void> MountDriver::apply(const model::Step& step, const model::Resource& resource, const Observation& observed,
                                const driver::Context& context) {
    const std::string volume = resource.id.name();
    if (step.action == model::Action::remove) return unmount(volume, context);
    const auto* present = std::get_if<Present>(&observed);
    const bool here = present != nullptr && present->attributes.find(elsewhere_key) == nullptr;
    if (here) {
        // What a mount is made with differs, or its file system has given up: it is made anew. Else only what lies in
        // it.
        const auto differs = [&](std::string_view key) {
            const auto* is = model::get<std::string>(present->attributes, key);
            const auto* should = model::get<std::string>(resource.attributes, key);
            return is != nullptr && should != nullptr && *is != *should;
        };
        const std::array made_with{type_key, access_key, device_key, options_key};
        if (present->attributes.find(state_key) == nullptr && std::ranges::none_of(made_with, differs))
            return finish(volume);
        if (auto gone = unmount(volume, context); !gone) return gone;
    }
    return mount(volume, resource.attributes);
}

Result<void> MountDriver::mount(const std::string& volume, const model::Attributes& wanted) {
    const auto* type = model::get<std::string>(wanted, type_key);
    const auto* access = model::get<std::string>(wanted, access_key);
    const fs::path device = places_.mapped(volume);
    if (type == nullptr || access == nullptr)
        return fail({"mount", volume, "what is wanted of it says no file system", "plan again with this build"});
    auto there = api_->device_of(device);
    if (!there) return fail(there.error());
    if (!*there) return fail({"mount", volume, device.string() + " is not there", "unlock the volume first"});
    std::error_code error;
    const bool is_new = fs::exists(marker_of(places_, volume), error);
    if (error) return fail({"look at", marker_of(places_, volume).string(), error.message(), "run as root"});
    const std::size_t longest = *type == "xfs" ? longest_xfs_label : longest_ext4_label;
    if (auto put = put_on({.name = volume,
                           .device = device,
                           .type = *type,
                           .label = volume.substr(0, longest),
                           .read_only = *access == "read-only",
                           .is_new = is_new});
        !put)
        return put;
    return finish(volume);
}

Result<void> MountDriver::put_on(const Volume& volume) {
    const fs::path target = places_.mount_point(volume.name);
    auto entries = api_->mounts();
    if (!entries) return fail(entries.error());
    auto seen = look(volume.name, *entries);
    if (!seen) return fail(seen.error());
    if (seen->ours) return {};
    if (seen->entry != nullptr)
        return fail({"mount", volume.name, fmt::format("{} is mounted there", seen->entry->source),
                     fmt::format("if nobody needs it there, `umount {}`", target.string()), Error::Kind::refused});
    if (auto place = make_place(places_.mount_root()); !place) return place;
    if (auto gathered = api_->gather(places_.mount_root()); !gathered) return gathered;
    if (auto place = make_place(target); !place) return place;
    std::error_code error;
    const bool empty = fs::is_empty(target, error);
    if (error) return fail({"look into", target.string(), error.message(), "run as root"});
    if (!empty)
        return fail({"mount", volume.name,
                     fmt::format("{} holds something, in clear, that would be hidden", target.string()),
                     "look what it is, and move or remove it", Error::Kind::refused});
    if (auto ready = make_ready(*api_, volume); !ready) return ready;
    return api_->mount(volume.device, target, volume.type, volume.read_only);
}

Result<void> MountDriver::finish(const std::string& volume) {
    const fs::path target = places_.mount_point(volume);
    const fs::path marker = marker_of(places_, volume);
    if (const auto inside = directories(volume); !inside.empty())
        if (auto made = make_directories(target, inside); !made) return made;
    std::error_code error;
    if (!fs::exists(marker, error) && !error) return {};
    const auto role = roles_.find(volume);
    if (role != roles_.end() && role->second == specs::VolumeRole::data)
        if (auto handed = hand_to_members(target); !handed) return handed;
    fs::remove(marker, error);
    if (error) return fail({"remove", marker.string(), error.message(), "run as root"});
    return {};
}

Result<void> MountDriver::unmount(const std::string& volume, const driver::Context& context) {
    // Several may lie on each other; each round takes the uppermost.
    for (int round = 0; round < busy_tries; ++round) {
        auto entries = api_->mounts();
        if (!entries) return fail(entries.error());
        auto seen = look(volume, *entries);
        if (!seen) return fail(seen.error());
        if (seen->entry == nullptr || !seen->ours) {
            const std::optional<dev_t> mapping = seen->mapping;
            if (!mapping) return {};
            auto elsewhere = api_->other_namespaces(*mapping);
            if (!elsewhere) return fail(elsewhere.error());
            if (elsewhere->empty()) return {};
            return fail({"unmount", volume,
                         fmt::format("unmounted here, it is still held by {}", fmt::join(*elsewhere, ", ")),
                         "end these processes and apply again"});
        }
        if (auto off = take_off(volume, seen->entry->device, context); !off) return off;
    }
    return fail({"unmount", volume, "it is mounted again and again", "look for what mounts it"});
}

/// No process need hold what another mount lies on.
Result<void> MountDriver::nothing_below(const fs::path& target) {
    auto entries = api_->mounts();
    if (!entries) return fail(entries.error());
    std::vector<std::string> holders;
    std::vector<std::string> places;
    for (const MountEntry& below : mounts_below(*entries, target)) {
        holders.push_back(fmt::format("{}, mounted on {}", text_of(below), below.target.string()));
        places.insert(places.begin(), below.target.string());  // the uppermost first
    }
    if (holders.empty()) return {};
    return fail({"unmount", target.string(), fmt::format("it is held by {}", fmt::join(holders, "; ")),
                 fmt::format("`umount {}`, and apply again", fmt::join(places, " "))});
}

Result<void> MountDriver::take_off(const std::string& volume, dev_t device, const driver::Context& context) {
    const fs::path target = places_.mount_point(volume);
    for (int attempt = 0; attempt < busy_tries; ++attempt) {
        auto unmounted = api_->unmount(target);
        if (!unmounted) return fail(unmounted.error());
        if (*unmounted == Unmounted::done) return {};
        if (auto free = nothing_below(target); !free) return free;
        auto holders = api_->holders(device);
        if (!holders) return fail(holders.error());
        if (!holders->empty())
            return fail({"unmount", target.string(), fmt::format("it is held by {}", fmt::join(*holders, ", ")),
                         "end what holds it and apply again"});
        // Held by the kernel for a moment, as by the last close of a file.
        if (context.stop.stop_requested())
            return fail({"unmount", target.string(), "interrupted", "apply again", Error::Kind::interrupted});
        std::this_thread::sleep_for(busy_pause);
    }
    return fail({"unmount", target.string(),
                 "it is busy, and no process, NFS client, mount namespace or mount below it holds it",
                 "look at `losetup -a`, `swapon` and `exportfs`, and apply again"});
}

}  // namespace safe::filesystem
