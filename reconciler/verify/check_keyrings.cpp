// Keyrings: keys in the kernel that open a volume of this safe. cryptsetup names them after the header's UUID.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "reconciler/verify/scene.hpp"
#include "reconciler/verify/text.hpp"

namespace safe::verify {
namespace {

constexpr std::string_view keys_file = "/proc/keys";

struct Key {
    std::string id;
    std::string type;
    std::string description;
};

/// "1d5e4a3f I--Q---     1 perm 3f010000     0     0 logon     cryptsetup:…-d0: 64" (keyrings(7)).
std::optional<Key> parse_key(std::string_view line) {
    constexpr std::size_t before_description = 8;
    std::vector<std::string_view> words = words_of(line);
    if (words.size() < before_description) return std::nullopt;
    Key key{.id = std::string(words[0]), .type = std::string(words[7]), .description = {}};
    for (const std::string_view word : std::span(words).subspan(before_description))
        key.description += (key.description.empty() ? "" : " ") + std::string(word);
    return key;
}

bool holds_material(const Key& key) {
    return key.type != "keyring" && key.type != "asymmetri" && key.type != "blacklist";
}

/// Whose it is: the volume's name, or nothing.
std::string owner_of(const Key& key, const Scene& scene) {
    for (const Volume& volume : scene.estate->volumes) {
        for (const std::string& uuid : volume.uuids)
            if (key.description.find(uuid) != std::string::npos) return "volume " + volume.name;
        if (key.description.find(scene.places.subsystem(volume.name)) != std::string::npos ||
            key.description.find(scene.places.mapping_name(volume.name)) != std::string::npos)
            return "volume " + volume.name;
    }
    return "";
}

/// A key of cryptsetup's that no mapping on this machine uses, while a volume's UUID is not known: it may be ours.
bool may_be_ours(const Key& key, const Scene& scene) {
    constexpr std::string_view prefix = "cryptsetup:";
    constexpr std::size_t uuid_length = 36;
    if (!key.description.starts_with(prefix)) return false;
    if (std::ranges::none_of(scene.estate->volumes, [](const Volume& volume) { return volume.uuids.empty(); }))
        return false;
    std::string uuid = key.description.substr(prefix.size(), uuid_length);
    std::erase(uuid, '-');
    return std::ranges::none_of(scene.devices->all(), [&](const BlockDevice& device) {
        return device.mapping_uuid.find(uuid) != std::string::npos;
    });
}

}  // namespace

std::vector<Finding> check_keyrings(const Scene& scene) {
    Lines lines("keyrings");
    const std::string looked_at(keys_file);
    const Seen<std::string> text = scene.system.read(keys_file);
    if (!scene.estate || !text) {
        lines.unknown(looked_at, scene.estate ? text.error() : scene.estate.error());
        return lines.take();
    }
    if (!text.there()) {
        lines.unknown(looked_at, {.attempt = "look at",
                                  .object = looked_at,
                                  .cause = "it is not there",
                                  .advice = "mount procfs on /proc, of a kernel with keyrings"});
        return lines.take();
    }
    std::size_t count = 0;
    for (const std::string_view line : lines_of(text.value())) {
        const std::optional<Key> key = parse_key(line);
        if (!key) {
            lines.unknown(looked_at, {.attempt = "read a line of",
                                      .object = looked_at,
                                      .cause = "it has another form: " + std::string(line)});
            continue;
        }
        ++count;
        // While open, the kernel may hold the keys of what is opened.
        if (!holds_material(*key) || scene.open()) continue;
        const std::string advice =
            fmt::format("keyctl unlink 0x{} from the keyring that holds it; reboot if it stays", key->id);
        if (const std::string owner = owner_of(*key, scene); !owner.empty())
            lines.fault(looked_at, fmt::format("{} key {} of {}", key->type, key->description, owner), advice);
        else if (may_be_ours(*key, scene))
            lines.unknown(looked_at, {.attempt = "tell whose is",
                                      .object = fmt::format("{} key {}", key->type, key->description),
                                      .cause = "no mapping uses it, and not every volume's UUID is known",
                                      .advice = advice});
    }
    if (lines.clean())
        lines.ok(looked_at, scene.open() ? fmt::format("{} keys; those of opened volumes may be among them", count)
                                         : fmt::format("{} keys, none of this safe", count));
    return lines.take();
}

}  // namespace safe::verify
