#include "reconciler/verify/estate.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;

/// A LUKS header of either version begins with this, and has its UUID at the same place (LUKS2 on-disk format, 2.1).
constexpr std::string_view luks_magic{"LUKS\xba\xbe", 6};
constexpr std::size_t uuid_place = 168;
constexpr std::size_t uuid_room = 40;

std::string without_dashes(std::string text) {
    std::erase(text, '-');
    return text;
}

class EstateSearch {
 public:
    EstateSearch(const System& system, const driver::Places& places, const BlockDevices& devices,
                 const std::vector<IscsiSession>& sessions, Estate& estate)
        : system_(system), places_(places), devices_(devices), sessions_(sessions), estate_(estate) {}

    void add_forgotten() {
        const fs::path records = places_.headers("x").parent_path();
        const Seen<std::vector<std::string>> names = system_.list(records);
        if (!names) estate_.unseen.push_back(names.error());
        if (names)
            for (const std::string& name : names.value_or(std::vector<std::string>())) add(name);
        for (const BlockDevice& device : devices_.all())
            if (device.mapping.starts_with(places_.mapping_name("")))
                add(device.mapping.substr(places_.mapping_name("").size()));
    }

    void look_at(Volume& volume) {
        read_record(volume);
        if (volume.spec != nullptr) {
            find_file(volume);
            find_device(volume);
            find_disks(volume);
            read_header(volume);
        }
        find_opened(volume);
    }

 private:
    void add(const std::string& name) {
        if (std::ranges::find(estate_.volumes, name, &Volume::name) == estate_.volumes.end())
            estate_.volumes.push_back({.name = name});
    }

    void read_record(Volume& volume) {
        const fs::path path = places_.headers(volume.name) / "record.json";
        const Seen<std::string> text = system_.read(path);
        if (!text) return estate_.unseen.push_back(text.error());
        if (!text.there()) return;
        const nlohmann::json record = nlohmann::json::parse(text.value(), nullptr, false);
        if (record.is_object() && record.contains("uuid") && record["uuid"].is_string())
            volume.uuids.insert(lower(record["uuid"].get<std::string>()));
        else
            estate_.unseen.push_back({.attempt = "read the UUID in",
                                      .object = path.string(),
                                      .cause = "there is none",
                                      .advice = "look whether somebody changed the record"});
    }

    void find_file(Volume& volume) {
        if (!volume.spec->file) return;
        const std::string& path = volume.spec->file->value.resolved;
        const Seen<FileFacts> facts = system_.status(path);
        if (!facts) estate_.unseen.push_back(facts.error());
        if (facts.there() && facts.value().type == FileFacts::Type::file) volume.file = facts.value();
        for (const BlockDevice& device : devices_.all())
            if (!device.backing_file.empty() && is_file(volume, path, device.backing_file))
                volume.carriers.insert(device.name);
    }

    bool is_file(const Volume& volume, const std::string& path, std::string backing) {
        constexpr std::string_view deleted = " (deleted)";
        if (backing.ends_with(deleted)) backing.resize(backing.size() - deleted.size());
        if (backing == path) return true;
        // Under another name: a link to it.
        const Seen<FileFacts> facts = system_.status(backing);
        return volume.file && facts.there() && facts.value().inode == volume.file->inode &&
               facts.value().filesystem == volume.file->filesystem;
    }

    void find_device(Volume& volume) {
        const Seen<FileFacts> facts = system_.status(places_.device(*volume.spec));
        if (!facts) estate_.unseen.push_back(facts.error());
        if (!facts.there() || facts.value().type != FileFacts::Type::block) return;
        if (const BlockDevice* device = devices_.numbered(facts.value().device)) volume.carriers.insert(device->name);
    }

    void find_disks(Volume& volume) const {
        if (!volume.spec->iscsi) return;
        for (const IscsiSession& session : sessions_)
            for (const IscsiDisk& disk : session.disks)
                if (names_one_target(session.target, *volume.spec->iscsi->target) &&
                    disk.lun == *volume.spec->iscsi->lun)
                    volume.carriers.insert(disk.name);
    }

    /// Not of an iSCSI disk: reading one whose storage is dead would hold us, and its record tells.
    void read_header(Volume& volume) {
        if (volume.spec->iscsi) return;
        const fs::path path = places_.device(*volume.spec);
        const Seen<std::string> start = system_.read_start(path, uuid_place + uuid_room);
        if (!start) return estate_.unseen.push_back(start.error());
        if (!start.there() || !start.value().starts_with(luks_magic) || start.value().size() < uuid_place + uuid_room)
            return;
        const std::string room = start.value().substr(uuid_place, uuid_room);
        const std::string uuid = lower(room.substr(0, room.find('\0')));
        if (!uuid.empty()) volume.uuids.insert(uuid);
    }

    void find_opened(Volume& volume) const {
        volume.carriers.merge(partitions_of(volume.carriers));
        volume.opened = devices_.built_on(volume.carriers);
        for (const BlockDevice& device : devices_.all()) {
            const bool bears_uuid = std::ranges::any_of(volume.uuids, [&](const std::string& uuid) {
                return device.mapping_uuid.find(without_dashes(uuid)) != std::string::npos;
            });
            if (bears_uuid || device.mapping == places_.mapping_name(volume.name)) volume.opened.insert(device.name);
        }
        volume.opened.merge(devices_.built_on(volume.opened));
    }

    [[nodiscard]] std::set<std::string> partitions_of(const std::set<std::string>& disks) const {
        std::set<std::string> found;
        for (const BlockDevice& device : devices_.all())
            if (disks.contains(device.disk)) found.insert(device.name);
        return found;
    }

    const System& system_;
    const driver::Places& places_;
    const BlockDevices& devices_;
    const std::vector<IscsiSession>& sessions_;
    Estate& estate_;
};

}  // namespace

const Volume* Estate::opened_as(std::string_view device) const {
    const auto found = std::ranges::find_if(
        volumes, [&](const Volume& volume) { return volume.opened.contains(std::string(device)); });
    return found == volumes.end() ? nullptr : &*found;
}

const Volume* Estate::carried_by(std::string_view device) const {
    const auto found = std::ranges::find_if(
        volumes, [&](const Volume& volume) { return volume.carriers.contains(std::string(device)); });
    return found == volumes.end() ? nullptr : &*found;
}

bool stays_open(const specs::SafeSpec& spec, const specs::VolumeSpec& volume) {
    const bool disks_there = std::ranges::any_of(
        spec.vms, [](const specs::VmSpec& vm) { return *vm.role == specs::Role::workspace && vm.image.has_value(); });
    return spec.suspend && **spec.suspend == specs::Suspend::ram && disks_there &&
           *volume.role == specs::VolumeRole::disks;
}

Estate find_estate(const System& system, const specs::SafeSpec& spec, const driver::Places& places, bool open,
                   const BlockDevices& devices, const std::vector<IscsiSession>& sessions) {
    Estate estate;
    for (const specs::VolumeSpec& volume : spec.volumes)
        estate.volumes.push_back({.name = volume.name, .spec = &volume, .wanted = open || stays_open(spec, volume)});
    EstateSearch search(system, places, devices, sessions, estate);
    search.add_forgotten();
    for (Volume& volume : estate.volumes) search.look_at(volume);
    return estate;
}

}  // namespace safe::verify
