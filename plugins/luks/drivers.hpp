// The three drivers that luks_driver.hpp puts together, one a kind, and what they share. Each is thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/luks/volume_header.hpp"
#include "reconciler/driver/driver.hpp"
#include "reconciler/driver/setting.hpp"

namespace safe::luks {

/// Steps run side by side, and to look at a header, or to change it, takes several reads and writes with which nobody
/// else's may mix: one at a time, for each header by itself.
struct HeaderTurns {
    std::mutex guard;  // of the map
    std::map<std::string, std::mutex, std::less<>> by_volume;
};

/// What every driver here is made of. `setting` refers to a spec and keys that outlive it.
struct Ground {
    driver::Setting setting;
    std::shared_ptr<Api> api;
    std::shared_ptr<HeaderTurns> turns = std::make_shared<HeaderTurns>();  // of all that are copied from this one

    [[nodiscard]] const specs::VolumeSpec* volume(std::string_view name) const { return setting.spec.volume(name); }
    [[nodiscard]] const specs::VolumeSpec* vault() const { return setting.spec.vault(); }
    [[nodiscard]] VolumeHeader header(const specs::VolumeSpec& volume) const { return {setting.places, volume}; }
    /// To be held from taking a header until it is put back. Not to be asked for again by who has it, nor by look().
    [[nodiscard]] std::unique_lock<std::mutex> turn_at(const specs::VolumeSpec& volume) const;
    /// When it is its turn.
    [[nodiscard]] Sighting look(const specs::VolumeSpec& volume) const;
    [[nodiscard]] bool is_vault(const specs::VolumeSpec& volume) const {
        return *volume.role == specs::VolumeRole::vault;
    }
    /// The file whose presence allows the file system's side to make one: docs/storage.md.
    [[nodiscard]] std::filesystem::path marker(std::string_view volume) const {
        return setting.places.run_dir() / "provisioning" / volume;
    }
    /// Where the random key of a volume other than the vault lies.
    [[nodiscard]] std::filesystem::path key_file(const specs::VolumeSpec& volume) const;
    /// What is to open this volume: the member's password, or the key out of the vault.
    [[nodiscard]] base::Result<Unlock> unlock(const specs::VolumeSpec& volume, const Header& header) const;
};

[[nodiscard]] std::unique_ptr<driver::Driver> make_container_driver(Ground ground);
[[nodiscard]] std::unique_ptr<driver::Driver> make_mapping_driver(Ground ground);
[[nodiscard]] std::unique_ptr<driver::Driver> make_keyslot_driver(Ground ground);

/// The slots of a member, of the newest generation first.
[[nodiscard]] std::vector<int> slots_of(const Header& header, std::string_view user);
[[nodiscard]] std::vector<int> all_slots(const Header& header);
/// Those that no member's token names.
[[nodiscard]] std::vector<int> unnamed_slots(const Header& header);

/// The failure of a key, said so that a person knows what to do.
[[nodiscard]] base::Error explain(const Failure& failure, const std::string& object, const std::string& whose);

[[nodiscard]] inline model::Refusal refusal(const std::string& part, const specs::Position& at, std::string cause,
                                            std::string advice) {
    return {.subject = part + " (" + to_text(at) + ")",
            .error = {.attempt = "handle",
                      .object = part,
                      .cause = std::move(cause),
                      .advice = std::move(advice),
                      .kind = base::Error::Kind::refused}};
}

}  // namespace safe::luks
