// A safe with a vault and a data volume on plain files, real LUKS2 headers, and a device-mapper that is the kernel's or
// a fake: what the tests of the encryption start from.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/luks/drivers.hpp"
#include "plugins/luks/key_helper.hpp"
#include "plugins/luks/luks_driver.hpp"
#include "plugins/luks/tokens.hpp"
#include "reconciler/base/file.hpp"
#include "tests/support/luks/fake_mapper.hpp"
#include "tests/support/temporary_directory.hpp"

namespace safe::test {

/// The helper of this build, or, where the build folder is not, the one beside the test program.
inline std::filesystem::path key_helper() {
    const std::filesystem::path built = SAFE_KEY_HELPER;
    return std::filesystem::exists(built) ? built : luks::usual_helper();
}

inline base::Secret secret_of(std::string_view text) {
    return base::Secret::copy_of(std::as_bytes(std::span(text))).value();
}

inline specs::VolumeSpec sample_volume(std::string name, specs::VolumeRole role, const std::string& file) {
    specs::VolumeSpec volume;
    volume.name = std::move(name);
    volume.at = {"atlas.yaml", 10, 3};
    volume.role = {role};
    volume.access = {specs::Access::read_write};
    volume.file = specs::Located<specs::FilePath>{{file, file}};
    volume.encryption.cipher = {"aes-xts-plain64"};
    volume.encryption.key_size = {512};
    volume.encryption.kdf.type = {specs::KdfType::argon2id};
    volume.encryption.kdf.memory = {{32 * luks::mebibyte}};
    volume.encryption.kdf.passes = {1};
    volume.encryption.kdf.lanes = {1};
    volume.filesystem = {specs::Filesystem::ext4};
    volume.provision = {specs::Provision::if_blank};
    return volume;
}

inline specs::UserSpec sample_user(std::string name, bool super) {
    specs::UserSpec user;
    user.name = std::move(name);
    user.super = {super};
    return user;
}

inline constexpr std::string_view alices_password = "correct horse of alice";
inline constexpr std::string_view bobs_password = "battery staple of bob";

class VaultWorld {
 public:
    explicit VaultWorld(std::string safe = "atlas") {
        spec.safe = {std::move(safe)};
        for (const char* name : {"vault", "data"}) {
            std::ofstream file(disk(name));
            std::filesystem::resize_file(disk(name), volume_size);
        }
        spec.volumes = {sample_volume("vault", specs::VolumeRole::vault, disk("vault")),
                        sample_volume("data", specs::VolumeRole::data, disk("data"))};
        spec.users = {sample_user("alice", true), sample_user("bob", false)};
        real = luks::make_helper_api(key_helper());
        mapper = std::make_shared<FakeMapper>(real);
        api = mapper;
    }

    static constexpr std::uint64_t volume_size = 64 * luks::mebibyte;

    [[nodiscard]] std::string disk(std::string_view volume) const { return (folder.path() / volume).string() + ".img"; }
    [[nodiscard]] driver::Places places() const {
        return {*spec.safe, folder.path() / "state", folder.path() / "run", folder.path() / "srv"};
    }
    [[nodiscard]] driver::Setting setting() const { return {.spec = spec, .places = places(), .keys = keys}; }
    [[nodiscard]] luks::VolumeHeader header(std::string_view volume = "vault") const {
        return {places(), *spec.volume(volume)};
    }
    void give_key(std::string user, std::string_view password) {
        keys.put({.user = std::move(user), .password = secret_of(password)});
    }

    [[nodiscard]] driver::Driver& driver_of(model::Kind kind) {
        if (drivers_.empty()) drivers_ = luks::make_drivers(setting(), api);
        for (const auto& driver : drivers_)
            if (driver->kinds().front() == kind) return *driver;
        throw std::logic_error("no such driver");
    }
    /// After the spec has changed.
    void renew() { drivers_.clear(); }

    [[nodiscard]] model::Observation observe(const model::ResourceId& id) {
        return driver_of(id.kind).observe({.ids = {id}, .enumerate = false}, {}).observations.at(id);
    }
    [[nodiscard]] model::Resource desired(const model::ResourceId& id, model::Mode mode = model::Mode::open) {
        for (const model::Resource& resource : driver_of(id.kind).desire(spec, mode).resources)
            if (resource.id == id) return resource;
        return {.id = id};
    }
    [[nodiscard]] base::Result<void> apply(const model::ResourceId& id, model::Action action) {
        model::Resource resource = desired(id);
        if (action == model::Action::remove) resource = {.id = id};
        const model::Step step{.resource = id,
                               .action = action,
                               .verb = "test",
                               .summary = "",
                               .changes = {},
                               .labels = {},
                               .requires_done = {}};
        return driver_of(id.kind).apply(step, resource, observe(id), {});
    }

    /// A vault with alice's keyslot.
    void format_vault() {
        give_key("alice", alices_password);
        const auto formatted = apply(vault_id, model::Action::add);
        ASSERT_TRUE(formatted) << to_text(formatted.error());
    }

    /// Overwrites bytes of a device behind everybody's back.
    void scribble(std::string_view volume, std::uint64_t offset, std::string_view bytes) const {
        std::fstream file(disk(volume), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(offset));
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    /// Puts another header on the device, with checksums that are right.
    void forge(std::string_view volume, const luks::Header& header) const {
        scribble(volume, 0, luks::render_both(header).value());
    }
    [[nodiscard]] std::string content(std::string_view volume, std::uint64_t size = volume_size) const {
        std::ifstream file(disk(volume), std::ios::binary);
        std::string bytes(size, '\0');
        file.read(bytes.data(), static_cast<std::streamsize>(size));
        bytes.resize(static_cast<std::size_t>(file.gcount()));
        return bytes;
    }

    inline static const model::ResourceId vault_id{model::Kind::container, "vault"};
    inline static const model::ResourceId data_id{model::Kind::container, "data"};
    inline static const model::ResourceId mapping_id{model::Kind::mapping, "vault"};

    testing::TemporaryDirectory folder;
    specs::SafeSpec spec;
    driver::KeyRing keys;
    std::shared_ptr<luks::Api> real;
    std::shared_ptr<FakeMapper> mapper;
    std::shared_ptr<luks::Api> api;

 private:
    std::vector<std::unique_ptr<driver::Driver>> drivers_;
};

}  // namespace safe::test
