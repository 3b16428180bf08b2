// Holders: processes that have a volume's device or file open, a file on an opened volume, or live in a directory of
// it. Also finds what umount --lazy hides: the filesystem is in nobody's mount table and still in use.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

namespace fs = std::filesystem;

class HolderSearch {
 public:
    HolderSearch(const Scene& scene, Lines& lines) : scene_(scene), lines_(lines) {}

    void look_at(const Process& process) {
        const fs::path folder = folder_of(process);
        unseen_.clear();
        for (const char* link : {"cwd", "root", "exe"}) look_at(process, folder / link);
        const Seen<std::vector<std::string>> descriptors = scene_.system.list(folder / "fd");
        if (!descriptors) unseen_.push_back(descriptors.error());
        if (descriptors)
            for (const std::string& descriptor : descriptors.value_or(std::vector<std::string>()))
                look_at(process, folder / "fd" / descriptor);
        look_at_memory(process, folder / "maps");
        if (unseen_.empty()) return;
        // One line for a process that hides itself, not one for each of its files.
        base::Error first = unseen_.front();
        first.object = fmt::format("{} of {}, and {} more", first.object, to_text(process), unseen_.size() - 1);
        lines_.unknown(folder.string(), first);
    }

 private:
    void look_at(const Process& process, const fs::path& link) {
        const Seen<FileFacts> facts = scene_.system.status(link);
        if (!facts) return unseen_.push_back(facts.error());
        if (!facts.there()) return;
        const Volume* volume = volume_of(facts.value());
        if (volume == nullptr) return;
        const Seen<std::string> target = scene_.system.link(link);
        report(process, link, *volume, target.there() ? target.value() : "it");
    }

    /// Files of a mounted volume that are mapped: "7f…-7f… r--p 00000000 fd:00 131 /srv/safe/atlas/data/x".
    void look_at_memory(const Process& process, const fs::path& maps) {
        const Seen<std::string> text = scene_.system.read(maps);
        if (!text) return unseen_.push_back(text.error());
        if (!text.there()) return;
        for (const std::string_view line : lines_of(text.value())) {
            const std::vector<std::string_view> words = words_of(line);
            if (words.size() < 6) continue;
            const auto number = hexadecimal_number(words[3]);
            const BlockDevice* device = number ? scene_.devices->numbered(*number) : nullptr;
            const Volume* volume = device == nullptr ? nullptr : closed(scene_.estate->opened_as(device->name));
            if (volume == nullptr) continue;
            return report(process, maps, *volume, std::string(words[5]));
        }
    }

    static std::optional<DeviceNumber> hexadecimal_number(std::string_view text) {
        const std::vector<std::string_view> parts = parts_of(text, ':');
        if (parts.size() != 2) return std::nullopt;
        DeviceNumber number;
        std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), number.major, 16);
        std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), number.minor, 16);
        return number;
    }

    static const Volume* closed(const Volume* volume) { return volume != nullptr && volume->wanted ? nullptr : volume; }

    [[nodiscard]] const Volume* volume_of(const FileFacts& facts) const {
        for (const Volume& volume : scene_.estate->volumes)
            if (volume.file && facts.type == FileFacts::Type::file && facts.inode == volume.file->inode &&
                facts.filesystem == volume.file->filesystem)
                return closed(&volume);
        const BlockDevice* device =
            scene_.devices->numbered(facts.type == FileFacts::Type::block ? facts.device : facts.filesystem);
        if (device == nullptr) return nullptr;
        if (const Volume* volume = scene_.estate->opened_as(device->name)) return closed(volume);
        return facts.type == FileFacts::Type::block ? closed(scene_.estate->carried_by(device->name)) : nullptr;
    }

    void report(const Process& process, const fs::path& link, const Volume& volume, const std::string& target) {
        lines_.fault(link.string(), fmt::format("{} holds {} of volume {}", to_text(process), target, volume.name),
                     fmt::format("end it: kill {}", process.id));
    }

    const Scene& scene_;
    Lines& lines_;
    std::vector<base::Error> unseen_;  // of the process that is looked at
};

}  // namespace

std::vector<Finding> check_holders(const Scene& scene) {
    Lines lines("holders");
    const std::string everywhere = "/proc/*/{fd,maps,cwd,root,exe}";
    if (scene.open()) return {};  // everything may be in use
    if (!scene.estate || !scene.processes) {
        lines.unknown(everywhere, scene.estate ? scene.processes.error() : scene.estate.error());
        return lines.take();
    }
    HolderSearch search(scene, lines);
    for (const Process& process : *scene.processes) search.look_at(process);
    if (lines.clean())
        lines.ok(everywhere, fmt::format("{} processes, none holds anything of this safe's closed volumes",
                                         scene.processes->size()));
    return lines.take();
}

}  // namespace safe::verify
